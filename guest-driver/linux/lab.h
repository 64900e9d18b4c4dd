/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the driver share. */
#ifndef _LAB_H
#define _LAB_H

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "lab_regs.h"
#include "uapi/lab.h"

struct lab;

/* A vector: which causes come by it. */
struct lab_vector {
	struct lab *lab;
	u32 causes;
};

/*
 * A function that is bound to the driver, and what open files keep of it.
 *
 * Locks, outermost first:
 *
 *	@busy, @opening
 *	mmap_lock of a program, held by the kernel around mmap and faults
 *	@alive
 *	@mapping; i_mmap_rwsem of the files' address space
 *	@lock
 *
 * So nobody touches a program's memory who holds any of these: that may fault,
 * which takes mmap_lock, and for the program's own mapping of the device @alive
 * once more. It may also take as long as whoever provides the memory likes, and
 * remove waits for @alive.
 */
struct lab {
	struct kref ref;
	/* Here for holders of @alive only. */
	struct pci_dev *pdev;
	struct miscdevice misc;
	char name[16];
	int number;

	/* Held for reading by whoever uses the device; @gone once it went. */
	struct rw_semaphore alive;
	bool gone;

	/* Protects @opens and @inode, the node of the first open file. */
	struct mutex opening;
	unsigned int opens;
	struct inode *inode;

	/* Protects @mappers, address spaces whose mmap may not be over. */
	struct mutex mapping;
	struct list_head mappers;

	/* BAR 0, unless the driver was told to leave it alone. */
	void __iomem *registers;
	/* BAR 2, write-combining. */
	void __iomem *memory;

	struct lab_vector vectors[LAB_CAUSES];
	int nvectors;
	u32 irq_kind;
	/* Protects @causes and @interrupts. */
	spinlock_t lock;
	u32 causes;
	u32 interrupts;
	wait_queue_head_t wait;

	/* One computation or transfer at a time; protects @buffer. */
	struct mutex busy;
	struct completion done;
	void *buffer;
	dma_addr_t buffer_address;
};

extern bool lab_unchecked;
extern bool lab_zap;
extern char *lab_irq_param;

int lab_irq_setup(struct lab *lab);
void lab_irq_enable(struct lab *lab);
void lab_irq_poll(struct lab *lab);

int lab_compute(struct lab *lab, struct lab_compute *request);
int lab_dma(struct lab *lab, struct lab_dma *request, void *data);

extern const struct file_operations lab_fops;
int lab_use(struct lab *lab);
int lab_mmap(struct file *file, struct vm_area_struct *vma);
void lab_unmap(struct lab *lab);

void lab_release(struct kref *ref);

static inline u32 lab_read(struct lab *lab, u32 offset)
{
	return readl(lab->registers + offset);
}

static inline void lab_write(struct lab *lab, u32 offset, u32 value)
{
	writel(value, lab->registers + offset);
}

#endif
