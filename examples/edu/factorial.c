// SPDX-License-Identifier: GPL-2.0
/*
 * Has the device compute a factorial, then reads and writes its registers through a mapping: of /dev/myedu, or of the
 * file that it is given, like sysfs' resource0.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MYEDU_FACTORIAL	_IOWR('e', 1, uint32_t)
#define LIVENESS	1

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static volatile uint32_t *map(const char *path)
{
	int file = open(path, O_RDWR | O_SYNC);
	void *mapped;

	if (file < 0)
		fail(path);
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (mapped == MAP_FAILED)
		fail("mmap");
	close(file);
	return mapped;
}

static void check_liveness(volatile uint32_t *registers)
{
	registers[LIVENESS] = 0x12345678;
	if (registers[LIVENESS] != ~0x12345678u) {
		fprintf(stderr, "the device is dead\n");
		exit(1);
	}
}

static uint32_t factorial(int file, uint32_t operand)
{
	if (ioctl(file, MYEDU_FACTORIAL, &operand))
		fail("ioctl");
	return operand;
}

int main(int argc, char **argv)
{
	int file;

	check_liveness(map(argc > 1 ? argv[1] : "/dev/myedu"));
	if (argc > 1)
		return 0;
	file = open("/dev/myedu", O_RDWR);
	if (file < 0)
		fail("/dev/myedu");
	if (factorial(file, 5) != 120 || factorial(file, 6) != 720) {
		fprintf(stderr, "wrong\n");
		return 1;
	}
	return 0;
}
