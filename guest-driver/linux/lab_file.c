// SPDX-License-Identifier: GPL-2.0
/* The character device: open, read, write, ioctl and poll. */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "lab.h"

static int lab_open(struct inode *inode, struct file *file)
{
	struct lab *lab = container_of(file->private_data, struct lab, misc);

	kref_get(&lab->ref);
	file->private_data = lab;
	/* One address space for all mappings, whatever node they came by. */
	mutex_lock(&lab->opening);
	if (!lab->opens++)
		lab->inode = igrab(inode);
	file->f_mapping = lab->inode->i_mapping;
	mutex_unlock(&lab->opening);
	return 0;
}

static int lab_close(struct inode *inode, struct file *file)
{
	struct lab *lab = file->private_data;

	mutex_lock(&lab->opening);
	if (!--lab->opens) {
		iput(lab->inode);
		lab->inode = NULL;
	}
	mutex_unlock(&lab->opening);
	kref_put(&lab->ref, lab_release);
	return 0;
}

/* Takes @alive for the caller, if there are registers to use. */
int lab_use(struct lab *lab)
{
	down_read(&lab->alive);
	if (!lab->gone && lab->registers)
		return 0;
	up_read(&lab->alive);
	return -ENODEV;
}

/* Whether @count bytes at @offset are whole registers of BAR 0. The caller holds @alive. */
static bool lab_in_registers(struct lab *lab, loff_t offset, size_t count)
{
	resource_size_t size = pci_resource_len(lab->pdev, LAB_BAR_REGISTERS);

	if (offset < 0 || offset % 4 || count % 4 || offset > size)
		return false;
	return count <= size - offset;
}

/* Registers that are read or written before a program's memory is touched again. */
#define LAB_AT_ONCE	32

static ssize_t lab_file_read(struct file *file, char __user *data, size_t count, loff_t *offset)
{
	struct lab *lab = file->private_data;
	u32 words[LAB_AT_ONCE];
	size_t done = 0;
	ssize_t error;

	do {
		size_t size = min(count - done, sizeof(words));
		size_t at;

		error = lab_use(lab);
		if (error)
			break;
		if (!lab_in_registers(lab, *offset + done, count - done))
			error = -EINVAL;
		for (at = 0; !error && at < size; at += 4)
			words[at / 4] = lab_read(lab, *offset + done + at);
		up_read(&lab->alive);
		if (!error && copy_to_user(data + done, words, size))
			error = -EFAULT;
		if (!error)
			done += size;
	} while (!error && done < count);
	*offset += done;
	return done ? done : error;
}

static ssize_t lab_file_write(struct file *file, const char __user *data, size_t count,
			      loff_t *offset)
{
	struct lab *lab = file->private_data;
	u32 words[LAB_AT_ONCE];
	size_t done = 0;
	ssize_t error;

	do {
		size_t size = min(count - done, sizeof(words));
		size_t at;

		if (copy_from_user(words, data + done, size)) {
			error = -EFAULT;
			break;
		}
		error = lab_use(lab);
		if (error)
			break;
		if (!lab_in_registers(lab, *offset + done, count - done))
			error = -EINVAL;
		for (at = 0; !error && at < size; at += 4)
			lab_write(lab, *offset + done + at, words[at / 4]);
		up_read(&lab->alive);
		if (!error)
			done += size;
	} while (!error && done < count);
	*offset += done;
	return done ? done : error;
}

static long lab_ioctl_register(struct lab *lab, unsigned int command, void __user *argument)
{
	struct lab_register request;
	long error;

	if (copy_from_user(&request, argument, sizeof(request)))
		return -EFAULT;
	error = lab_use(lab);
	if (error)
		return error;
	if (!lab_in_registers(lab, request.offset, 4))
		error = -EINVAL;
	else if (command == LAB_WRITE)
		lab_write(lab, request.offset, request.value);
	else
		request.value = lab_read(lab, request.offset);
	up_read(&lab->alive);
	if (!error && command == LAB_READ && copy_to_user(argument, &request, sizeof(request)))
		error = -EFAULT;
	return error;
}

static long lab_ioctl_compute(struct lab *lab, void __user *argument)
{
	struct lab_compute request;
	long error;

	if (copy_from_user(&request, argument, sizeof(request)))
		return -EFAULT;
	error = lab_compute(lab, &request);
	if (!error && copy_to_user(argument, &request, sizeof(request)))
		error = -EFAULT;
	return error;
}

static long lab_ioctl_dma(struct lab *lab, void __user *argument)
{
	struct lab_dma request;
	void __user *user;
	void *data;
	long error;

	if (copy_from_user(&request, argument, sizeof(request)))
		return -EFAULT;
	if (!request.length || request.length > LAB_DMA_MAX)
		return -EINVAL;
	user = u64_to_user_ptr(request.data);
	if (request.to_memory)
		data = kvmalloc(request.length, GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
	else
		data = vmemdup_user(user, request.length);
	if (IS_ERR(data))
		return PTR_ERR(data);
	error = lab_dma(lab, &request, data);
	if (!error && request.to_memory && request.status & LAB_DMA_DONE &&
	    copy_to_user(user, data, request.length))
		error = -EFAULT;
	kvfree(data);
	if (!error && copy_to_user(argument, &request, sizeof(request)))
		error = -EFAULT;
	return error;
}

static long lab_ioctl_info(struct lab *lab, void __user *argument)
{
	struct lab_info info = { .irq = lab->irq_kind, .vectors = lab->nvectors };

	spin_lock_irq(&lab->lock);
	info.interrupts = lab->interrupts;
	spin_unlock_irq(&lab->lock);
	return copy_to_user(argument, &info, sizeof(info)) ? -EFAULT : 0;
}

static long lab_ioctl_take(struct lab *lab, u32 __user *argument)
{
	u32 causes;

	spin_lock_irq(&lab->lock);
	causes = lab->causes;
	lab->causes = 0;
	spin_unlock_irq(&lab->lock);
	return put_user(causes, argument);
}

/* For a driver without interrupts only: a handler needs the registers. */
static long lab_ioctl_ioremap(struct lab *lab, const u32 __user *argument)
{
	long error = 0;
	u32 wanted;

	if (get_user(wanted, argument))
		return -EFAULT;
	down_write(&lab->alive);
	if (lab->gone) {
		error = -ENODEV;
	} else if (lab->nvectors) {
		error = -EBUSY;
	} else if (!wanted && lab->registers) {
		pcim_iounmap(lab->pdev, lab->registers);
		lab->registers = NULL;
	} else if (wanted && !lab->registers) {
		lab->registers = pcim_iomap(lab->pdev, LAB_BAR_REGISTERS, 0);
		error = lab->registers ? 0 : -ENOMEM;
	}
	up_write(&lab->alive);
	return error;
}

static long lab_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct lab *lab = file->private_data;
	void __user *data = (void __user *)argument;

	switch (command) {
	case LAB_READ:
	case LAB_WRITE:
		return lab_ioctl_register(lab, command, data);
	case LAB_COMPUTE:
		return lab_ioctl_compute(lab, data);
	case LAB_DMA:
		return lab_ioctl_dma(lab, data);
	case LAB_INFO:
		return lab_ioctl_info(lab, data);
	case LAB_TAKE:
		return lab_ioctl_take(lab, data);
	case LAB_IOREMAP:
		return lab_ioctl_ioremap(lab, data);
	default:
		return -ENOTTY;
	}
}

static __poll_t lab_poll(struct file *file, poll_table *table)
{
	struct lab *lab = file->private_data;
	__poll_t ready = 0;

	poll_wait(file, &lab->wait, table);
	spin_lock_irq(&lab->lock);
	if (lab->causes)
		ready = EPOLLIN | EPOLLRDNORM;
	spin_unlock_irq(&lab->lock);
	return READ_ONCE(lab->gone) ? EPOLLHUP | EPOLLERR : ready;
}

const struct file_operations lab_fops = {
	.owner = THIS_MODULE,
	.open = lab_open,
	.release = lab_close,
	.read = lab_file_read,
	.write = lab_file_write,
	.unlocked_ioctl = lab_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = lab_poll,
	.mmap = lab_mmap,
};
