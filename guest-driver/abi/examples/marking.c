// SPDX-License-Identifier: GPL-2.0
/* A kernel module that says what it does; build it with `ccflags-y += -I` and the folder of barscope.h. */
#include <linux/module.h>

#include "barscope.h"

static int __init marking_init(void)
{
	if (!barscope_open())
		return -ENODEV;
	barscope_begin("module");
	barscope_mark("in a module");
	barscope_end(1, "the module is there");
	return 0;
}

static void __exit marking_exit(void)
{
}

module_init(marking_init);
module_exit(marking_exit);
MODULE_DESCRIPTION("Marks in a trace of barscope");
MODULE_LICENSE("GPL");
