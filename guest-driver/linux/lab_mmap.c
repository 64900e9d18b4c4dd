// SPDX-License-Identifier: GPL-2.0
/*
 * mmap: which BAR, how, and how much of it.
 *
 * vm_pgoff says where in a window a mapping begins. A program may ask for
 * anything, so offset and length are checked against the BAR by subtraction,
 * which can't overflow.
 *
 * When the device goes, mappings are taken back. They are found by the files'
 * address space, where the kernel links a mapping only after lab_mmap() made it,
 * with mmap_lock held all the time. So remove waits for that lock of each program
 * that may be in between.
 */
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "lab.h"

#define LAB_WINDOW_PAGES	(LAB_MMAP_WINDOW >> PAGE_SHIFT)

/* An address space whose mmap may not be over. */
struct lab_mapper {
	struct list_head list;
	struct mm_struct *mm;
};

static void lab_forget(struct lab_mapper *mapper)
{
	list_del(&mapper->list);
	mmdrop(mapper->mm);
	kfree(mapper);
}

/* Notes that a mapping is made in @mm, whose mmap_lock is held, and forgets those that are over. */
static int lab_note(struct lab *lab, struct mm_struct *mm)
{
	struct lab_mapper *mapper, *next;
	int error = 0;

	mutex_lock(&lab->mapping);
	list_for_each_entry_safe(mapper, next, &lab->mappers, list) {
		if (mapper->mm == mm)
			goto out;
		if (mmap_read_trylock(mapper->mm)) {
			mmap_read_unlock(mapper->mm);
			lab_forget(mapper);
		}
	}
	mapper = kmalloc(sizeof(*mapper), GFP_KERNEL);
	if (mapper) {
		mmgrab(mm);
		mapper->mm = mm;
		list_add(&mapper->list, &lab->mappers);
	} else {
		error = -ENOMEM;
	}
out:
	mutex_unlock(&lab->mapping);
	return error;
}

/* Takes all mappings back, unless told not to. The device is gone: no more are made. */
void lab_unmap(struct lab *lab)
{
	struct lab_mapper *mapper, *next;
	LIST_HEAD(mappers);

	mutex_lock(&lab->mapping);
	list_splice_init(&lab->mappers, &mappers);
	mutex_unlock(&lab->mapping);
	list_for_each_entry_safe(mapper, next, &mappers, list) {
		mmap_read_lock(mapper->mm);
		mmap_read_unlock(mapper->mm);
		lab_forget(mapper);
	}
	mutex_lock(&lab->opening);
	if (lab_zap && lab->inode)
		unmap_mapping_range(lab->inode->i_mapping, 0, 0, 1);
	mutex_unlock(&lab->opening);
}

static void lab_set_flags(struct vm_area_struct *vma, vm_flags_t flags)
{
#ifdef LAB_HAS_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* Fills the page that was touched: vm_pgoff of the area is that of the BAR. */
static vm_fault_t lab_fault(struct vm_fault *fault)
{
	struct vm_area_struct *vma = fault->vma;
	struct lab *lab = vma->vm_file->private_data;
	unsigned long page = fault->pgoff - (LAB_MMAP_ON_FAULT >> PAGE_SHIFT);
	vm_fault_t result = VM_FAULT_SIGBUS;
	unsigned long pfn;

	down_read(&lab->alive);
	if (!lab->gone) {
		pfn = (pci_resource_start(lab->pdev, LAB_BAR_REGISTERS) >> PAGE_SHIFT) + page;
		result = vmf_insert_pfn(vma, fault->address, pfn);
	}
	up_read(&lab->alive);
	return result;
}

static const struct vm_operations_struct lab_fault_ops = {
	.fault = lab_fault,
};

static int lab_map_bar(struct lab *lab, struct vm_area_struct *vma, int bar, unsigned long page)
{
	unsigned long wanted = vma_pages(vma);
	resource_size_t start = pci_resource_start(lab->pdev, bar);
	resource_size_t size = pci_resource_len(lab->pdev, bar);
	unsigned long pages = size >> PAGE_SHIFT;

	/* What else is in the page of a smaller BAR is none of the program's business. */
	if (!pages && lab_unchecked)
		pages = 1;
	if (!pages)
		return -EINVAL;
	if (page >= pages || wanted > pages - page)
		return -EINVAL;
	return io_remap_pfn_range(vma, vma->vm_start, (start >> PAGE_SHIFT) + page,
				  wanted << PAGE_SHIFT, vma->vm_page_prot);
}

static int lab_map_on_fault(struct lab *lab, struct vm_area_struct *vma, unsigned long page)
{
	unsigned long pages = pci_resource_len(lab->pdev, LAB_BAR_REGISTERS) >> PAGE_SHIFT;

	if (page >= pages || vma_pages(vma) > pages - page)
		return -EINVAL;
	lab_set_flags(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &lab_fault_ops;
	return 0;
}

int lab_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct lab *lab = file->private_data;
	unsigned long window = vma->vm_pgoff / LAB_WINDOW_PAGES * LAB_MMAP_WINDOW;
	unsigned long page = vma->vm_pgoff % LAB_WINDOW_PAGES;
	int error;

	/* A private mapping would be of copies, which a device has none of. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	down_read(&lab->alive);
	if (lab->gone) {
		error = -ENODEV;
		goto out;
	}
	error = lab_note(lab, vma->vm_mm);
	if (error)
		goto out;
	switch (window) {
	case LAB_MMAP_REGISTERS:
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		error = lab_map_bar(lab, vma, LAB_BAR_REGISTERS, page);
		break;
	case LAB_MMAP_MEMORY:
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
		error = lab_map_bar(lab, vma, LAB_BAR_MEMORY, page);
		break;
	case LAB_MMAP_ON_FAULT:
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		error = lab_map_on_fault(lab, vma, page);
		break;
	case LAB_MMAP_DOORBELLS:
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		error = lab_map_bar(lab, vma, LAB_BAR_DOORBELLS, page);
		break;
	default:
		error = -EINVAL;
	}
out:
	up_read(&lab->alive);
	return error;
}
