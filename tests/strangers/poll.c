// SPDX-License-Identifier: GPL-2.0
/*
 * Maps a register page that comes when it is touched, and reads a register a thousand times; given an argument, it makes a
 * system call after each hundred.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile uint32_t *registers;
	uint32_t sum = 0;
	int file = open("/dev/mybar", O_RDWR);

	if (file < 0) {
		perror("/dev/mybar");
		return 1;
	}
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 4096);
	if (registers == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (int read = 0; read < 1000; read++) {
		sum += registers[0];
		if (argc > 1 && read % 100 == 50)
			syscall(SYS_getpid);
	}
	return sum == 0;
}
