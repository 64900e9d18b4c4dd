// SPDX-License-Identifier: GPL-2.0
/* Binds drivers of the distribution to a lab, one after the other, and drives it by UIO, as such programs do. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICE "0000:00:04.0"
#define DEVICES "/sys/bus/pci/devices/" DEVICE "/"
#define DRIVERS "/sys/bus/pci/drivers/"

/* The lab's registers, and the cause that the program raises. */
enum { INT_STATUS = 0x14 / 4, INT_MASK = 0x18 / 4, TRIGGER = 0x6c / 4, DONE = 1 };
/* Command (PCI Local Bus 3.0, section 6.2.2). */
enum { COMMAND = 4, INTERRUPT_DISABLE = 0x400 };

static int write_to(const char *path, const char *text)
{
	int file = open(path, O_WRONLY), failed;

	failed = file < 0 || write(file, text, strlen(text)) < 0;
	if (file >= 0)
		close(file);
	return failed;
}

/* Interrupts the program, and has it acknowledge that. */
static int interrupt(void)
{
	int uio = open("/dev/uio0", O_RDWR), config = open(DEVICES "config", O_RDWR);
	int resource = open(DEVICES "resource0", O_RDWR | O_SYNC);
	volatile uint32_t *registers;
	struct pollfd wait = { .fd = uio, .events = POLLIN };
	uint16_t command;
	uint32_t count, causes;
	int times = 0;

	if (uio < 0 || config < 0 || resource < 0)
		return 1;
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
	if (registers == MAP_FAILED)
		return 1;
	for (; times < 3; times++) {
		/* The driver sets Interrupt Disable, and the program clears it. */
		if (pread(config, &command, 2, COMMAND) != 2)
			return 1;
		command &= ~INTERRUPT_DISABLE;
		if (pwrite(config, &command, 2, COMMAND) != 2)
			return 1;
		registers[INT_MASK] = DONE;
		registers[TRIGGER] = DONE;
		if (poll(&wait, 1, 2000) != 1 || read(uio, &count, 4) != 4)
			return 1;
		causes = registers[INT_STATUS];
		registers[INT_STATUS] = causes;
		if (causes != DONE)
			return 1;
	}
	registers[INT_MASK] = 0;
	registers[INT_MASK];
	munmap((void *)registers, 4096);
	close(resource);
	close(config);
	close(uio);
	return 0;
}

int main(int count, char **names)
{
	int failed = 0;

	for (int i = 1; i < count; i++) {
		char path[128];
		int refused;

		failed |= write_to(DEVICES "driver_override", names[i]);
		snprintf(path, sizeof(path), DRIVERS "%s/bind", names[i]);
		refused = write_to(path, DEVICE);
		printf("%s: %s\n", names[i], refused ? strerror(errno) : "bound");
		if (refused)
			continue;
		if (!strcmp(names[i], "uio_pci_generic"))
			failed |= interrupt();
		snprintf(path, sizeof(path), DRIVERS "%s/unbind", names[i]);
		failed |= write_to(path, DEVICE);
	}
	return failed;
}
