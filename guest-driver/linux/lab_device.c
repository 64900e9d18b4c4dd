// SPDX-License-Identifier: GPL-2.0
/* What the device does: computations and transfers, one at a time. */
#include <linux/build_bug.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/jiffies.h>
#include <linux/string.h>

#include "lab.h"

#define LAB_PATIENCE	HZ

/* Takes @busy and @alive for the caller, if the device can say that it is done. */
static int lab_claim(struct lab *lab)
{
	int error;

	if (mutex_lock_interruptible(&lab->busy))
		return -ERESTARTSYS;
	error = lab_use(lab);
	if (!error && !lab->nvectors) {
		up_read(&lab->alive);
		error = -EOPNOTSUPP;
	}
	if (error)
		mutex_unlock(&lab->busy);
	return error;
}

static void lab_unclaim(struct lab *lab)
{
	up_read(&lab->alive);
	mutex_unlock(&lab->busy);
}

/*
 * Waits for the interrupt that ends what was just started; the status register
 * at @offset as it is then. Signals have to wait as well: the device goes on, and
 * whoever came next would take its end for that of their own.
 */
static u32 lab_wait(struct lab *lab, u32 offset)
{
	unsigned long end = jiffies + LAB_PATIENCE;
	unsigned long left;
	u32 status;

	BUILD_BUG_ON(LAB_STATUS_BUSY != LAB_DMA_BUSY);
	do {
		left = wait_for_completion_timeout(&lab->done, LAB_PATIENCE);
		status = lab_read(lab, offset);
		/* What was done may have been a program's, by its mapping. */
	} while (left && status & LAB_STATUS_BUSY && time_before(jiffies, end));
	/* A device that may not master the bus can't send its message. */
	if (!left)
		lab_irq_poll(lab);
	if (status & LAB_STATUS_BUSY) {
		lab_write(lab, LAB_CONTROL, LAB_CONTROL_RESET);
		lab_irq_enable(lab);
	}
	return status;
}

int lab_compute(struct lab *lab, struct lab_compute *request)
{
	int error = lab_claim(lab);
	u32 status;

	if (error)
		return error;
	reinit_completion(&lab->done);
	lab_write(lab, LAB_OPERAND, request->operand);
	lab_write(lab, LAB_OPCODE, request->opcode);
	status = lab_wait(lab, LAB_STATUS);
	if (status & LAB_STATUS_BUSY)
		error = -ETIMEDOUT;
	else if (status & LAB_STATUS_ERROR)
		error = -EINVAL;
	else
		request->result = lab_read(lab, LAB_RESULT);
	lab_unclaim(lab);
	return error;
}

/* Transfers the bytes at @data, or to there. */
int lab_dma(struct lab *lab, struct lab_dma *request, void *data)
{
	int error = lab_claim(lab);

	if (error)
		return error;
	if (!request->to_memory)
		memcpy(lab->buffer, data, request->length);
	reinit_completion(&lab->done);
	lo_hi_writeq(lab->buffer_address, lab->registers + LAB_DMA_ADDRESS);
	lab_write(lab, LAB_DMA_OFFSET, request->offset);
	lab_write(lab, LAB_DMA_LENGTH, request->length);
	lab_write(lab, LAB_DMA_CONTROL,
		  LAB_DMA_START | (request->to_memory ? LAB_DMA_TO_MEMORY : 0));
	request->status = lab_wait(lab, LAB_DMA_STATUS);
	if (request->status & LAB_DMA_BUSY)
		error = -ETIMEDOUT;
	/* Otherwise the buffer has somebody else's bytes. */
	else if (request->to_memory && request->status & LAB_DMA_DONE)
		memcpy(data, lab->buffer, request->length);
	lab_unclaim(lab);
	return error;
}
