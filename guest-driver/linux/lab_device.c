// SPDX-License-Identifier: GPL-2.0
/* What the device does: computations and transfers. The caller holds @alive. */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/jiffies.h>
#include <linux/uaccess.h>

#include "lab.h"

#define LAB_PATIENCE	HZ

/* Waits for the interrupt that ends what was just started. */
static int lab_wait(struct lab *lab)
{
	long left = wait_for_completion_interruptible_timeout(&lab->done, LAB_PATIENCE);

	if (left < 0)
		return left;
	return left ? 0 : -ETIMEDOUT;
}

int lab_compute(struct lab *lab, struct lab_compute *request)
{
	int error;

	if (!lab->registers || !lab->nvectors)
		return -EOPNOTSUPP;
	mutex_lock(&lab->busy);
	reinit_completion(&lab->done);
	lab_write(lab, LAB_OPERAND, request->operand);
	lab_write(lab, LAB_OPCODE, request->opcode);
	error = lab_wait(lab);
	if (!error && lab_read(lab, LAB_STATUS) & LAB_STATUS_ERROR)
		error = -EINVAL;
	if (!error)
		request->result = lab_read(lab, LAB_RESULT);
	mutex_unlock(&lab->busy);
	return error;
}

static int lab_transfer(struct lab *lab, struct lab_dma *request)
{
	int error;

	reinit_completion(&lab->done);
	lo_hi_writeq(lab->buffer_address, lab->registers + LAB_DMA_ADDRESS);
	lab_write(lab, LAB_DMA_OFFSET, request->offset);
	lab_write(lab, LAB_DMA_LENGTH, request->length);
	lab_write(lab, LAB_DMA_CONTROL,
		  LAB_DMA_START | (request->to_memory ? LAB_DMA_TO_MEMORY : 0));
	error = lab_wait(lab);
	/* A device that may not master the bus can't send its message either. */
	if (!error || error == -ETIMEDOUT) {
		request->status = lab_read(lab, LAB_DMA_STATUS);
		if (!(request->status & LAB_DMA_BUSY))
			error = 0;
	}
	return error;
}

int lab_dma(struct lab *lab, struct lab_dma *request)
{
	void __user *data = u64_to_user_ptr(request->data);
	int error = 0;

	if (!lab->registers || !lab->nvectors)
		return -EOPNOTSUPP;
	if (!request->length || request->length > LAB_DMA_MAX)
		return -EINVAL;
	mutex_lock(&lab->busy);
	if (!request->to_memory && copy_from_user(lab->buffer, data, request->length))
		error = -EFAULT;
	if (!error)
		error = lab_transfer(lab, request);
	if (!error && request->to_memory && copy_to_user(data, lab->buffer, request->length))
		error = -EFAULT;
	mutex_unlock(&lab->busy);
	return error;
}
