/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of the lab function, PCI 1234:1ab0. Written down here on its own,
 * like a driver's author would from a data sheet; a test of the bench holds it
 * against the device's model.
 */
#ifndef _LAB_REGS_H
#define _LAB_REGS_H

#define LAB_VENDOR		0x1234
#define LAB_DEVICE		0x1ab0

#define LAB_BAR_REGISTERS	0
#define LAB_BAR_MEMORY		2
#define LAB_BAR_DOORBELLS	5

#define LAB_ID			0x00
#define LAB_VERSION		0x04
#define LAB_SCRATCH		0x08
#define LAB_CONTROL		0x0c
#define LAB_STATUS		0x10
#define LAB_INT_STATUS		0x14
#define LAB_INT_MASK		0x18
#define LAB_OPERAND		0x20
#define LAB_OPCODE		0x24
#define LAB_RESULT		0x28
#define LAB_DMA_ADDRESS		0x40
#define LAB_DMA_OFFSET		0x48
#define LAB_DMA_LENGTH		0x4c
#define LAB_DMA_CONTROL		0x50
#define LAB_DMA_STATUS		0x54

#define LAB_ID_VALUE		0x3142414c

#define LAB_CONTROL_ENABLE	0x1
#define LAB_CONTROL_RESET	0x2

#define LAB_STATUS_BUSY		0x1
#define LAB_STATUS_DONE		0x2
#define LAB_STATUS_ERROR	0x4

#define LAB_INT_DONE		0x01
#define LAB_INT_ERROR		0x02
#define LAB_INT_DMA		0x04
#define LAB_INT_DOORBELL	0x08
#define LAB_INT_FIFO		0x10
#define LAB_INT_ALL		0x1f
#define LAB_CAUSES		5

#define LAB_DMA_START		0x1
#define LAB_DMA_TO_MEMORY	0x2
#define LAB_DMA_BUSY		0x1
#define LAB_DMA_DONE		0x2

#endif
