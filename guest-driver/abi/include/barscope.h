/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest may tell barscope, from a program or from a kernel module: marks and windows in the trace, counts, and
 * the mappings that it makes. x86-64, GNU C; copy it into your sources. It needs nothing, and does nothing on a machine
 * that isn't barscope's.
 *
 * A program needs CAP_SYS_RAWIO: barscope_open() asks for four I/O ports (ioperm), for this thread and those that it
 * starts later, so call it first.
 *
 *	barscope_mark("queue is full");
 *	barscope_begin("reset"); .. barscope_end(status == 0, "came back in time");
 *
 * Expectations ask for them: `after mark "queue is full"`, `in scenario "reset"`. Texts have at most 256 bytes.
 */
#ifndef BARSCOPE_H
#define BARSCOPE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#include <sys/io.h>
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define BARSCOPE_PORT 0x0b5c
#define BARSCOPE_SIGNATURE 0x31435342 /* BSC1 */
#define BARSCOPE_MAX_TEXT 256

/* Requests. */
#define BARSCOPE_MARK 1
#define BARSCOPE_MAP 2
#define BARSCOPE_UNMAP 3
#define BARSCOPE_SCENARIO_BEGIN 5
#define BARSCOPE_SCENARIO_END 6
#define BARSCOPE_COUNT 7
#define BARSCOPE_ISR_ENTER 10
#define BARSCOPE_ISR_EXIT 11
#define BARSCOPE_WALK 22

/* What is counted. */
#define BARSCOPE_KERNEL_ENTRIES 1
#define BARSCOPE_FAULT_RESOLVED 2
#define BARSCOPE_FAULT_FATAL 3

/* What makes a mapping. */
#define BARSCOPE_IOREMAP 1
#define BARSCOPE_MMAP 2
#define BARSCOPE_SYSFS 3
#define BARSCOPE_DEV_MEM 4
#define BARSCOPE_IOREMAP_WC 6
#define BARSCOPE_SYSFS_WC 7
#define BARSCOPE_UIO 8

/* The caller's own address space; the kernel's part is 0. */
#define BARSCOPE_OWN (~(u64)0)

struct barscope_bytes {
	u64 address;
	u64 length;
};

struct barscope_end {
	u64 passed;
	struct barscope_bytes summary;
};

struct barscope_count {
	u64 what;
	u64 value;
	u64 address;
	u64 error_code;
	u64 rip;
};

struct barscope_map {
	u64 id; /* your own number for it, not 0 */
	u64 kind; /* BARSCOPE_IOREMAP .. */
	u64 virtual_address;
	u64 physical_address;
	u64 length;
	u64 address_space; /* BARSCOPE_OWN, or 0 for the kernel's part */
	u64 on_fault; /* 1 if its pages come when they are touched */
	struct barscope_bytes who; /* barscope_text("my_probe") */
	struct barscope_bytes call; /* barscope_text("pci_iomap(dev, 0, 0)") */
	struct barscope_bytes file; /* of a program's: barscope_text("/dev/my") */
	u64 offset; /* in the file */
};

struct barscope_walk {
	u64 address;
	struct barscope_bytes what;
};

/* A text, read to its end, so that it is in memory: the host takes no page faults. */
static inline struct barscope_bytes barscope_text(const char *text)
{
	struct barscope_bytes bytes = { (u64)(unsigned long)text, 0 };

	while (bytes.length < BARSCOPE_MAX_TEXT && ((const volatile char *)text)[bytes.length])
		bytes.length++;
	return bytes;
}

/* Whether this is barscope, which then listens. */
static inline int barscope_open(void)
{
	static int known; /* 1 yes, 2 no */
	u32 signature;

	if (!known) {
#ifndef __KERNEL__
		if (ioperm(BARSCOPE_PORT, 4, 1)) {
			known = 2;
			return 0;
		}
#endif
		__asm__ volatile("inl %w1, %0" : "=a"(signature) : "Nd"(BARSCOPE_PORT));
		known = signature == BARSCOPE_SIGNATURE ? 1 : 2;
	}
	return known == 1;
}

/* Makes a request; one of those below. */
static inline void barscope_request(u32 number, const void *structure, u64 size)
{
	if (barscope_open())
		__asm__ volatile("outl %0, %w1"
				 :
				 : "a"(number), "Nd"(BARSCOPE_PORT), "b"(structure), "c"(size)
				 : "memory");
}

/* A named point in the trace. */
static inline void barscope_mark(const char *text)
{
	struct barscope_bytes mark = barscope_text(text);

	barscope_request(BARSCOPE_MARK, &mark, sizeof(mark));
}

/* A window begins, which barscope calls a scenario: it is judged and told by its name. */
static inline void barscope_begin(const char *name)
{
	struct barscope_bytes begin = barscope_text(name);

	barscope_request(BARSCOPE_SCENARIO_BEGIN, &begin, sizeof(begin));
}

/* It ends: whether what it is for went well, and a line on that. */
static inline void barscope_end(int passed, const char *summary)
{
	struct barscope_end end = { !!passed, barscope_text(summary) };

	barscope_request(BARSCOPE_SCENARIO_END, &end, sizeof(end));
}

/* Something was counted that accesses don't show: BARSCOPE_KERNEL_ENTRIES .. */
static inline void barscope_count(u64 what, u64 value)
{
	struct barscope_count count = { what, value, 0, 0, 0 };

	barscope_request(BARSCOPE_COUNT, &count, sizeof(count));
}

/* A mapping was made: accesses through it go by its name from here on. */
static inline void barscope_map(const struct barscope_map *map)
{
	barscope_request(BARSCOPE_MAP, map, sizeof(*map));
}

/* The mapping with this number is gone. */
static inline void barscope_unmap(u64 id)
{
	barscope_request(BARSCOPE_UNMAP, &id, sizeof(id));
}

/* How an address of the caller's is mapped is recorded, and what you say is there. Nothing accesses it for that. */
static inline void barscope_walk(const volatile void *address, const char *what)
{
	struct barscope_walk walk = { (u64)(unsigned long)address, barscope_text(what) };

	barscope_request(BARSCOPE_WALK, &walk, sizeof(walk));
}

/* An interrupt handler begins, by its vector; for kernels whose handlers nobody sees otherwise. */
static inline void barscope_isr_enter(u64 vector)
{
	barscope_request(BARSCOPE_ISR_ENTER, &vector, sizeof(vector));
}

/* It ends. */
static inline void barscope_isr_exit(u64 vector)
{
	barscope_request(BARSCOPE_ISR_EXIT, &vector, sizeof(vector));
}

#endif
