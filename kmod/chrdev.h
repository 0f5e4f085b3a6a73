/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/ulp.
 */
#ifndef ULP_CHRDEV_H
#define ULP_CHRDEV_H

int ulp_chrdev_init(void);
void ulp_chrdev_exit(void);

#endif /* ULP_CHRDEV_H */
