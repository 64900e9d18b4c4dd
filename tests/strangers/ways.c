// SPDX-License-Identifier: GPL-2.0
/* Reads the first register of a BAR through each way that Linux has for a program: file, offset and length of each. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int read_through(const char *path, unsigned long offset, unsigned long length)
{
	int file = open(path, O_RDWR | O_SYNC);
	volatile uint32_t *registers;

	if (file < 0) {
		printf("%s: %s\n", path, strerror(errno));
		return 1;
	}
	registers = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset);
	close(file);
	if (registers == MAP_FAILED) {
		printf("%s: mmap: %s\n", path, strerror(errno));
		return 1;
	}
	return registers[0] == 0xffffffff;
}

/* Address of a device's first BAR, as the first line of sysfs' resource has it. */
static unsigned long first_bar(const char *path)
{
	unsigned long start = 0;
	FILE *file = fopen(path, "r");

	if (file) {
		if (fscanf(file, "%lx", &start) != 1)
			start = 0;
		fclose(file);
	}
	return start;
}

static int write_to(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file)) {
		printf("%s: %s\n", path, strerror(errno));
		return 1;
	}
	return 0;
}

#define LAB "/sys/bus/pci/devices/0000:00:04.0/"

int main(void)
{
	int failed = 0;

	failed |= read_through(LAB "resource0", 0, 4096);
	failed |= read_through(LAB "resource2_wc", 0, 8192);
	failed |= read_through("/dev/mem", first_bar(LAB "resource"), 4096);
	failed |= read_through("/dev/mybar", 0, 4096);
	/* Another device, that no driver has. */
	failed |= write_to("/sys/bus/pci/drivers/uio_pci_generic/new_id", "1234 11e8");
	failed |= read_through("/dev/uio0", 0, 16384);
	return failed;
}
