// SPDX-License-Identifier: GPL-2.0
/* Interrupts: MSI-X with a vector for each cause, or MSI, or INTA#. */
#include <linux/interrupt.h>
#include <linux/string.h>

#include "lab.h"

#ifndef PCI_IRQ_INTX
/* Its name before Linux 6.9. */
#define PCI_IRQ_INTX PCI_IRQ_LEGACY
#endif

static irqreturn_t lab_irq(int irq, void *data)
{
	struct lab_vector *vector = data;
	struct lab *lab = vector->lab;
	u32 causes = 0;
	unsigned long flags;

	/*
	 * A message is sent when the first cause of its vector comes, none for
	 * one that joins it: what came since is found by looking again.
	 */
	for (;;) {
		u32 status = lab_read(lab, LAB_INT_STATUS);

		if (PCI_POSSIBLE_ERROR(status) || !(status & vector->causes))
			break;
		lab_write(lab, LAB_INT_STATUS, status & vector->causes);
		causes |= status & vector->causes;
	}
	if (!causes)
		return IRQ_NONE;
	spin_lock_irqsave(&lab->lock, flags);
	lab->causes |= causes;
	lab->interrupts++;
	spin_unlock_irqrestore(&lab->lock, flags);
	if (causes & (LAB_INT_DONE | LAB_INT_ERROR | LAB_INT_DMA))
		complete(&lab->done);
	wake_up_interruptible(&lab->wait);
	return IRQ_HANDLED;
}

/* Handles causes whose message was lost. No other comes for them until they are acknowledged. */
void lab_irq_poll(struct lab *lab)
{
	int i;

	for (i = 0; i < lab->nvectors; i++)
		lab_irq(0, &lab->vectors[i]);
}

void lab_irq_enable(struct lab *lab)
{
	lab_write(lab, LAB_CONTROL, LAB_CONTROL_ENABLE);
	lab_write(lab, LAB_INT_MASK, LAB_INT_ALL);
}

static void lab_free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

/* The kinds that may be tried: the one asked for, and those after it. */
static unsigned int lab_kinds(void)
{
	unsigned int kinds = PCI_IRQ_INTX;

	if (!strcmp(lab_irq_param, "intx"))
		return kinds;
	kinds |= PCI_IRQ_MSI;
	if (!strcmp(lab_irq_param, "msi"))
		return kinds;
	return kinds | PCI_IRQ_MSIX;
}

int lab_irq_setup(struct lab *lab)
{
	struct pci_dev *pdev = lab->pdev;
	int count, i, error;

	if (!lab->registers || !strcmp(lab_irq_param, "none"))
		return 0;
	/* All causes by one vector, unless each can have its own. */
	count = -ENOSPC;
	if (lab_kinds() & PCI_IRQ_MSIX)
		count = pci_alloc_irq_vectors(pdev, LAB_CAUSES, LAB_CAUSES, PCI_IRQ_MSIX);
	if (count < 0)
		count = pci_alloc_irq_vectors(pdev, 1, 1, lab_kinds());
	if (count < 0)
		return dev_err_probe(&pdev->dev, count, "no interrupt\n");
	error = devm_add_action_or_reset(&pdev->dev, lab_free_vectors, pdev);
	if (error)
		return error;
	lab->irq_kind = pdev->msix_enabled ? LAB_IRQ_MSIX :
			pdev->msi_enabled ? LAB_IRQ_MSI : LAB_IRQ_INTX;
	lab->nvectors = count;
	for (i = 0; i < count; i++) {
		struct lab_vector *vector = &lab->vectors[i];

		vector->lab = lab;
		vector->causes = count == 1 ? LAB_INT_ALL : BIT(i);
		error = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, i), lab_irq,
					 IRQF_SHARED, KBUILD_MODNAME, vector);
		if (error)
			return error;
	}
	lab_irq_enable(lab);
	return 0;
}
