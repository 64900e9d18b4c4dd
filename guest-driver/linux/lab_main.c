// SPDX-License-Identifier: GPL-2.0
/*
 * Driver of the lab function: probe and remove.
 *
 * BAR 0 is mapped uncached and BAR 2 write-combining, each once: two mappings
 * of one page with different memory types would be a bug of the driver.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "lab.h"

static bool map_registers = true;
module_param(map_registers, bool, 0444);
MODULE_PARM_DESC(map_registers, "ioremap BAR 0; without it the driver reaches no register");

bool lab_unchecked;
module_param_named(unchecked, lab_unchecked, bool, 0644);
MODULE_PARM_DESC(unchecked, "let mmap give away the whole page around a smaller BAR");

bool lab_zap = true;
module_param_named(zap, lab_zap, bool, 0644);
MODULE_PARM_DESC(zap, "take programs' mappings back when the device goes");

char *lab_irq_param = "msix";
module_param_named(irq, lab_irq_param, charp, 0444);
MODULE_PARM_DESC(irq, "best kind of interrupt to ask for: msix, msi, intx or none");

static DEFINE_IDA(lab_numbers);

#ifndef LAB_HAS_MANAGED_REQUEST
/* Kernels without it manage what is requested after pcim_enable_device(). */
static int pcim_request_all_regions(struct pci_dev *pdev, const char *name)
{
	return pci_request_regions(pdev, name);
}
#endif

void lab_release(struct kref *ref)
{
	struct lab *lab = container_of(ref, struct lab, ref);

	ida_free(&lab_numbers, lab->number);
	kfree(lab);
}

static void lab_put(void *lab)
{
	kref_put(&((struct lab *)lab)->ref, lab_release);
}

static int lab_map(struct lab *lab)
{
	struct pci_dev *pdev = lab->pdev;

	if (map_registers) {
		lab->registers = pcim_iomap(pdev, LAB_BAR_REGISTERS, 0);
		if (!lab->registers)
			return -ENOMEM;
		if (lab_read(lab, LAB_ID) != LAB_ID_VALUE)
			return dev_err_probe(&pdev->dev, -ENODEV, "no lab at BAR 0\n");
	}
	lab->memory = devm_ioremap_wc(&pdev->dev, pci_resource_start(pdev, LAB_BAR_MEMORY),
				      pci_resource_len(pdev, LAB_BAR_MEMORY));
	return lab->memory ? 0 : -ENOMEM;
}

static struct lab *lab_new(struct pci_dev *pdev)
{
	struct lab *lab = kzalloc(sizeof(*lab), GFP_KERNEL);

	if (!lab)
		return NULL;
	lab->number = ida_alloc(&lab_numbers, GFP_KERNEL);
	if (lab->number < 0) {
		kfree(lab);
		return NULL;
	}
	kref_init(&lab->ref);
	lab->pdev = pdev;
	init_rwsem(&lab->alive);
	spin_lock_init(&lab->lock);
	init_waitqueue_head(&lab->wait);
	mutex_init(&lab->opening);
	mutex_init(&lab->mapping);
	INIT_LIST_HEAD(&lab->mappers);
	mutex_init(&lab->busy);
	init_completion(&lab->done);
	return lab;
}

static int lab_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct lab *lab = lab_new(pdev);
	int error;

	if (!lab)
		return -ENOMEM;
	error = devm_add_action_or_reset(&pdev->dev, lab_put, lab);
	if (error)
		return error;
	error = pcim_enable_device(pdev);
	if (error)
		return error;
	error = pcim_request_all_regions(pdev, KBUILD_MODNAME);
	if (error)
		return error;
	error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (error)
		return error;
	lab->buffer = dmam_alloc_coherent(&pdev->dev, LAB_DMA_MAX, &lab->buffer_address,
					  GFP_KERNEL);
	if (!lab->buffer)
		return -ENOMEM;
	error = lab_map(lab);
	if (error)
		return error;
	pci_set_master(pdev);
	error = lab_irq_setup(lab);
	if (error)
		return error;
	pci_set_drvdata(pdev, lab);

	snprintf(lab->name, sizeof(lab->name), "lab%d", lab->number);
	lab->misc.minor = MISC_DYNAMIC_MINOR;
	lab->misc.name = lab->name;
	lab->misc.fops = &lab_fops;
	lab->misc.parent = &pdev->dev;
	return misc_register(&lab->misc);
}

static void lab_remove(struct pci_dev *pdev)
{
	struct lab *lab = pci_get_drvdata(pdev);

	misc_deregister(&lab->misc);
	/* Who uses the device is done when this is taken; who comes later finds it gone. */
	down_write(&lab->alive);
	WRITE_ONCE(lab->gone, true);
	up_write(&lab->alive);
	lab_unmap(lab);
	if (lab->registers)
		lab_write(lab, LAB_CONTROL, LAB_CONTROL_RESET);
	wake_up_interruptible(&lab->wait);
	/* Open files keep the structure; everything else goes with the device. */
}

static const struct pci_device_id lab_ids[] = {
	{ PCI_DEVICE(LAB_VENDOR, LAB_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, lab_ids);

static struct pci_driver lab_driver = {
	.name = KBUILD_MODNAME,
	.id_table = lab_ids,
	.probe = lab_probe,
	.remove = lab_remove,
};
module_pci_driver(lab_driver);

MODULE_DESCRIPTION("Driver of barscope's lab function");
MODULE_LICENSE("GPL");
