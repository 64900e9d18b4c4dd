// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for QEMU's teaching device, written as its readers write theirs: it knows nothing of who watches it.
 *
 * Its handler has two halves, an ioctl computes a factorial, a file maps the registers.
 */

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>

#define EDU_ID			0x00
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define EDU_STATUS_INTERRUPT	0x80
#define EDU_INT_STATUS		0x24
#define EDU_INT_ACKNOWLEDGE	0x64

#define MYEDU_FACTORIAL		_IOWR('e', 1, __u32)

struct myedu {
	struct pci_dev *pdev;
	void __iomem *registers;
	struct miscdevice misc;
	struct completion done;
	u32 result;
};

static inline u32 myedu_read(struct myedu *edu, unsigned int reg)
{
	return ioread32(edu->registers + reg);
}

static inline void myedu_write(struct myedu *edu, unsigned int reg, u32 value)
{
	iowrite32(value, edu->registers + reg);
}

static irqreturn_t myedu_irq(int irq, void *data)
{
	struct myedu *edu = data;
	u32 status = ioread32(edu->registers + EDU_INT_STATUS);

	if (!status)
		return IRQ_NONE;
	myedu_write(edu, EDU_INT_ACKNOWLEDGE, status);
	return IRQ_WAKE_THREAD;
}

static irqreturn_t myedu_thread(int irq, void *data)
{
	struct myedu *edu = data;

	edu->result = myedu_read(edu, EDU_FACTORIAL);
	complete(&edu->done);
	return IRQ_HANDLED;
}

static struct myedu *myedu_of(struct file *file)
{
	return container_of(file->private_data, struct myedu, misc);
}

static long myedu_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct myedu *edu = myedu_of(file);
	u32 __user *operand = (u32 __user *)argument;
	u32 value;

	if (command != MYEDU_FACTORIAL)
		return -ENOTTY;
	if (get_user(value, operand))
		return -EFAULT;
	reinit_completion(&edu->done);
	myedu_write(edu, EDU_FACTORIAL, value);
	if (!wait_for_completion_timeout(&edu->done, 10 * HZ))
		return -ETIMEDOUT;
	return put_user(edu->result, operand);
}

static int myedu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct myedu *edu = myedu_of(file);

	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return vm_iomap_memory(vma, pci_resource_start(edu->pdev, 0), pci_resource_len(edu->pdev, 0));
}

static const struct file_operations myedu_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = myedu_ioctl,
	.mmap = myedu_mmap,
};

static void myedu_free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

static int myedu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct myedu *edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	int result;

	if (!edu)
		return -ENOMEM;
	edu->pdev = pdev;
	init_completion(&edu->done);
	result = pcim_enable_device(pdev);
	if (result)
		return result;
	pci_set_master(pdev);
	edu->registers = pcim_iomap(pdev, 0, 0);
	if (!edu->registers)
		return -ENOMEM;
	if ((myedu_read(edu, EDU_ID) & 0xff) != 0xed)
		return -ENODEV;
	result = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	if (result < 0)
		return result;
	result = devm_add_action_or_reset(&pdev->dev, myedu_free_vectors, pdev);
	if (result)
		return result;
	result = devm_request_threaded_irq(&pdev->dev, pci_irq_vector(pdev, 0), myedu_irq, myedu_thread, 0,
					   "myedu", edu);
	if (result)
		return result;
	myedu_write(edu, EDU_STATUS, EDU_STATUS_INTERRUPT);
	edu->misc.minor = MISC_DYNAMIC_MINOR;
	edu->misc.name = "myedu";
	edu->misc.fops = &myedu_operations;
	pci_set_drvdata(pdev, edu);
	return misc_register(&edu->misc);
}

static void myedu_remove(struct pci_dev *pdev)
{
	struct myedu *edu = pci_get_drvdata(pdev);

	misc_deregister(&edu->misc);
	myedu_write(edu, EDU_STATUS, 0);
}

static const struct pci_device_id myedu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, myedu_ids);

static struct pci_driver myedu_driver = {
	.name = "myedu",
	.id_table = myedu_ids,
	.probe = myedu_probe,
	.remove = myedu_remove,
};
module_pci_driver(myedu_driver);

MODULE_DESCRIPTION("A driver for QEMU's teaching device");
MODULE_LICENSE("GPL");
