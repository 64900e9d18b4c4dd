// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that hands out its device's first BAR: all of it at once at offset 0 of its file, page by page when it is touched
 * at the offset of its second page. It maps that BAR and the one after it for itself, the latter write-combining.
 */

#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/version.h>

static struct pci_dev *mybar_pdev;

static vm_fault_t mybar_fault(struct vm_fault *fault)
{
	return vmf_insert_pfn(fault->vma, fault->address, pci_resource_start(mybar_pdev, 0) >> PAGE_SHIFT);
}

static const struct vm_operations_struct mybar_by_fault = {
	.fault = mybar_fault,
};

static int mybar_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long first = pci_resource_start(mybar_pdev, 0) >> PAGE_SHIFT;

	if (vma->vm_pgoff > 1 || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	if (vma->vm_pgoff == 0)
		return io_remap_pfn_range(vma, vma->vm_start, first, PAGE_SIZE, vma->vm_page_prot);
	/* As io_remap_pfn_range does. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
#else
	vma->vm_flags |= VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
#endif
	vma->vm_ops = &mybar_by_fault;
	return 0;
}

static const struct file_operations mybar_operations = {
	.owner = THIS_MODULE,
	.mmap = mybar_mmap,
};

static struct miscdevice mybar_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mybar",
	.fops = &mybar_operations,
};

static noinline int mybar_touch(struct pci_dev *pdev)
{
	void __iomem *registers = ioremap(pci_resource_start(pdev, 0), pci_resource_len(pdev, 0));
	void __iomem *memory = ioremap_wc(pci_resource_start(pdev, 2), pci_resource_len(pdev, 2));
	int result = registers && memory ? 0 : -ENOMEM;

	if (!result) {
		readl(registers);
		writel(1, memory);
	}
	if (registers)
		iounmap(registers);
	if (memory)
		iounmap(memory);
	return result;
}

static int mybar_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int result = pcim_enable_device(pdev);

	if (result)
		return result;
	result = mybar_touch(pdev);
	if (result)
		return result;
	mybar_pdev = pdev;
	return misc_register(&mybar_misc);
}

static void mybar_remove(struct pci_dev *pdev)
{
	misc_deregister(&mybar_misc);
}

static const struct pci_device_id mybar_ids[] = {
	{ PCI_DEVICE(0x1234, 0x1ab0) },
	{ }
};
MODULE_DEVICE_TABLE(pci, mybar_ids);

static struct pci_driver mybar_driver = {
	.name = "mybar",
	.id_table = mybar_ids,
	.probe = mybar_probe,
	.remove = mybar_remove,
};
module_pci_driver(mybar_driver);

MODULE_DESCRIPTION("A driver that hands out a BAR");
MODULE_LICENSE("GPL");
