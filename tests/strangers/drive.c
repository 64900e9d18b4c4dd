// SPDX-License-Identifier: GPL-2.0
/* Has wrong.c's driver do all that it does. */

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	int file = open("/dev/wrong", O_RDWR);
	volatile uint32_t *first, *second;

	if (file < 0)
		return 1;
	first = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 4096);
	if (first == MAP_FAILED || second == MAP_FAILED)
		return 2;
	for (int i = 0; i < 4; i++) {
		if (write(file, "", 1) != 1)
			return 3;
		first[0] = i;
		second[0] = i;
		usleep(1000);
	}
	return 0;
}
