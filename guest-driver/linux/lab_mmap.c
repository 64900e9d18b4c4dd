// SPDX-License-Identifier: GPL-2.0
/*
 * mmap: which BAR, how, and how much of it.
 *
 * vm_pgoff says where in a window a mapping begins. A program may ask for
 * anything, so offset and length are checked against the BAR by subtraction,
 * which can't overflow.
 */
#include <linux/fs.h>

#include "lab.h"

#define LAB_WINDOW_PAGES	(LAB_MMAP_WINDOW >> PAGE_SHIFT)

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
	int error = -EINVAL;

	/* A private mapping would be of copies, which a device has none of. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	down_read(&lab->alive);
	if (lab->gone) {
		error = -ENODEV;
		goto out;
	}
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
	}
out:
	up_read(&lab->alive);
	return error;
}
