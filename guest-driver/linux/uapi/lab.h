/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause */
/*
 * What a program and the driver of the lab function say to each other.
 *
 * read() and write() at offset N, four bytes at a time, reach the register at
 * offset N of BAR 0. poll() says POLLIN while an interrupt's causes wait to be
 * taken. mmap() maps one of the windows below.
 */
#ifndef _UAPI_LAB_H
#define _UAPI_LAB_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Offsets for mmap(), each the start of a window. */
#define LAB_MMAP_REGISTERS	0x00000000	/* BAR 0, uncached, at once */
#define LAB_MMAP_MEMORY		0x01000000	/* BAR 2, write-combining */
#define LAB_MMAP_ON_FAULT	0x02000000	/* BAR 0, page by page */
#define LAB_MMAP_DOORBELLS	0x03000000	/* BAR 5, smaller than a page */
#define LAB_MMAP_WINDOW		0x01000000	/* from one to the next */

/* A register of BAR 0, accessed by the driver. */
struct lab_register {
	__u32 offset;
	__u32 value;
};

/* A computation; the driver sleeps until the interrupt that ends it. */
struct lab_compute {
	__u32 opcode;
	__u32 operand;
	__u32 result;
	__u32 reserved;
};

/* A transfer between BAR 2 and a buffer of the driver. */
struct lab_dma {
	__u64 data;		/* the program's own bytes */
	__u32 offset;		/* in BAR 2 */
	__u32 length;		/* up to LAB_DMA_MAX */
	__u32 to_memory;	/* 1 to read BAR 2, 0 to write it */
	__u32 status;		/* out: DMA_STATUS */
};

#define LAB_DMA_MAX	0x10000

/* How interrupts come. */
#define LAB_IRQ_NONE	0
#define LAB_IRQ_INTX	1
#define LAB_IRQ_MSI	2
#define LAB_IRQ_MSIX	3

struct lab_info {
	__u32 irq;		/* LAB_IRQ_* */
	__u32 vectors;
	__u32 interrupts;	/* handled so far */
	__u32 reserved;
};

#define LAB_READ	_IOWR('L', 1, struct lab_register)
#define LAB_WRITE	_IOW('L', 2, struct lab_register)
#define LAB_COMPUTE	_IOWR('L', 3, struct lab_compute)
#define LAB_DMA		_IOWR('L', 4, struct lab_dma)
#define LAB_INFO	_IOR('L', 5, struct lab_info)
/* Interrupt causes since the last time. */
#define LAB_TAKE	_IOR('L', 6, __u32)
/* 0: the driver undoes its own mapping of BAR 0; 1: makes it again. */
#define LAB_IOREMAP	_IOW('L', 7, __u32)

#endif
