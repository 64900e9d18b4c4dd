/* A program that says what it does: gcc -I guest-driver/abi/include -o marks marks.c */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "barscope.h"

int main(void)
{
	int file;
	FILE *resource;
	unsigned long long bus_address = 0;
	volatile u32 *registers;
	struct barscope_map map = { .id = 1, .kind = BARSCOPE_SYSFS, .length = 4096, .address_space = BARSCOPE_OWN };

	if (!barscope_open()) {
		puts("not on barscope");
		return 1;
	}
	file = open("/sys/bus/pci/devices/0000:00:04.0/resource0", O_RDWR);
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (registers == MAP_FAILED)
		return 1;
	resource = fopen("/sys/bus/pci/devices/0000:00:04.0/resource", "r");
	if (!resource || fscanf(resource, "%llx", &bus_address) != 1)
		return 1;
	map.physical_address = bus_address;
	map.virtual_address = (u64)(unsigned long)registers;
	map.who = barscope_text("marks");
	map.call = barscope_text("mmap(resource0)");
	map.file = barscope_text("resource0");
	barscope_map(&map);
	barscope_begin("identity");
	barscope_mark("before ID");
	barscope_end(registers[0] == 0x3142414c, "ID is LAB1");
	barscope_count(BARSCOPE_KERNEL_ENTRIES, 0);
	munmap((void *)registers, 4096);
	barscope_unmap(1);
	return 0;
}
