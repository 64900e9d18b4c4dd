// SPDX-License-Identifier: GPL-2.0
/* A driver of a lab that makes the mistake that it is told to. */

#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>

#define INT_STATUS	0x14
#define INT_MASK	0x18
#define TRIGGER		0x6c
#define DONE		1
#define FIFO		0x10

static char *mistake = "none";
module_param(mistake, charp, 0444);
MODULE_PARM_DESC(mistake, "none, edge or mmap");

static struct pci_dev *device;
static void __iomem *registers;

static bool makes(const char *name)
{
	return !strcmp(mistake, name);
}

static irqreturn_t wrong_irq(int irq, void *data)
{
	u32 causes, all = 0;

	while ((causes = ioread32(registers + INT_STATUS))) {
		all |= causes;
		/* As a device does that something happens to. */
		if (makes("edge") && causes & DONE)
			iowrite32(FIFO, registers + TRIGGER);
		iowrite32(causes, registers + INT_STATUS);
		if (makes("edge"))
			break;
	}
	return all ? IRQ_HANDLED : IRQ_NONE;
}

static ssize_t wrong_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	iowrite32(DONE, registers + TRIGGER);
	return size;
}

static int wrong_mmap(struct file *file, struct vm_area_struct *area)
{
	phys_addr_t start = pci_resource_start(device, 2);

	if (!makes("mmap"))
		return vm_iomap_memory(area, start, pci_resource_len(device, 2));
	area->vm_page_prot = pgprot_noncached(area->vm_page_prot);
	return io_remap_pfn_range(area, area->vm_start, start >> PAGE_SHIFT, area->vm_end - area->vm_start,
				  area->vm_page_prot);
}

static const struct file_operations wrong_operations = {
	.owner = THIS_MODULE,
	.write = wrong_write,
	.mmap = wrong_mmap,
};

static struct miscdevice wrong_file = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wrong",
	.fops = &wrong_operations,
};

static int wrong_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	int error = pcim_enable_device(dev);

	if (error)
		return error;
	device = dev;
	registers = pcim_iomap(dev, 0, 0);
	if (!registers)
		return -ENOMEM;
	pci_set_master(dev);
	if (pci_alloc_irq_vectors(dev, 1, 1, PCI_IRQ_MSI) != 1)
		return -ENODEV;
	error = devm_request_irq(&dev->dev, pci_irq_vector(dev, 0), wrong_irq, 0, "wrong", dev);
	if (error)
		return error;
	iowrite32(DONE | FIFO, registers + INT_MASK);
	return misc_register(&wrong_file);
}

static void wrong_remove(struct pci_dev *dev)
{
	misc_deregister(&wrong_file);
	iowrite32(0, registers + INT_MASK);
	ioread32(registers + INT_MASK);
}

static const struct pci_device_id wrong_ids[] = {
	{ PCI_DEVICE(0x1234, 0x1ab0) },
	{}
};
MODULE_DEVICE_TABLE(pci, wrong_ids);

static struct pci_driver wrong_driver = {
	.name = "wrong",
	.id_table = wrong_ids,
	.probe = wrong_probe,
	.remove = wrong_remove,
};
module_pci_driver(wrong_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("gets a lab wrong");
