// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stores.c - a library to be preloaded by contrib/stores: which instructions store into an arena.
 *
 * Memory of a memfd of our name is mapped for reading alone. A store faults: its page is opened, the
 * instruction is repeated with the processor's trap flag, and the trap behind it closes the page again.
 * What other threads store there meanwhile is not seen. System calls that write into an arena are let
 * through, and not counted. Where it was is noted in a table in the file ZT_STORES, which all
 * processes of a program share; for a function of libc it is the place of its call.
 *
 * A test that ends processes behind each store (step.h) finds zt_each_store() here, and does so
 * behind all of them instead of those that have a point.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if !defined(__x86_64__)
#error "the trap flag is that of x86-64"
#endif

#define TRAP_FLAG (1LL << 8)
#define PAGE      4096u
#define NR_ARENAS 64u
#define NR_PLACES 65536u
#define NR_OPEN   4u

/* Where stores are made. All processes add to it. */
struct place {
	uint64_t at; /* in the program, 1 and up; 0: free */
	uint64_t nr, stepped; /* how many, and those behind which a process could have ended */
};

/* Mappings of an arena; a place is used again when it is unmapped. */
static struct {
	uintptr_t start, end;
} arenas[NR_ARENAS];
static struct place *places;
static uintptr_t program, program_end; /* its code */
static void (*each)(void *arg, const char *point);
static void *each_arg;
static struct sigaction others; /* of the program, for faults that are not ours */

/* Of the instruction that is being repeated. */
static _Thread_local struct {
	uintptr_t pages[NR_OPEN];
	unsigned nr;
	uintptr_t again; /* the instruction, which may repeat itself */
	uint64_t at;
	bool in_libc;
} now __attribute__((tls_model("initial-exec")));
static uint64_t last; /* call of libc whose stores are one */
static char *where; /* of the last one, for all processes */

static bool arena_has(uintptr_t addr, size_t len)
{
	for (unsigned i = 0; i < NR_ARENAS; i++) {
		const uintptr_t start = __atomic_load_n(&arenas[i].start, __ATOMIC_ACQUIRE);

		if (start && addr < arenas[i].end && addr + len > start)
			return true;
	}
	return false;
}

static void let(uintptr_t addr, size_t len, int prot)
{
	const uintptr_t start = addr & ~(uintptr_t)(PAGE - 1);

	(void)syscall(SYS_mprotect, start, (addr + len - start + PAGE - 1) & ~(size_t)(PAGE - 1),
		      prot);
}

/* Nobody counts exactly: threads and processes may lose one another's. */
static void note(uint64_t at, bool steps)
{
	uint64_t i = at * UINT64_C(0x9e3779b97f4a7c15) >> 48;

	for (unsigned tries = 0; tries < NR_PLACES; tries++, i = (i + 1) % NR_PLACES) {
		uint64_t none = 0;

		if (places[i].at != at &&
		    !__atomic_compare_exchange_n(&places[i].at, &none, at, false, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED) &&
		    none != at)
			continue;
		places[i].nr++;
		places[i].stepped += steps;
		return;
	}
}

/* The instruction, or the call of libc that it belongs to, as a place in the program. */
static uint64_t place_of(const greg_t *regs, bool *out_in_libc)
{
	const uintptr_t *stack = (const uintptr_t *)(uintptr_t)regs[REG_RSP];
	uintptr_t at = (uintptr_t)regs[REG_RIP];

	*out_in_libc = at < program || at >= program_end;
	for (unsigned i = 0; *out_in_libc && i < 32 && (at < program || at >= program_end); i++)
		at = stack[i] - 1;
	return at >= program && at < program_end ? at - program + 1 : 1;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uintptr_t addr = (uintptr_t)info->si_addr;

	if (!arena_has(addr, 1) || now.nr == NR_OPEN) {
		if (others.sa_flags & SA_SIGINFO)
			others.sa_sigaction(sig, info, context);
		else
			(void)signal(sig, SIG_DFL);
		return;
	}
	if (now.nr == 0)
		now.at = place_of(regs, &now.in_libc);
	now.again = (uintptr_t)regs[REG_RIP];
	now.pages[now.nr++] = addr & ~(uintptr_t)(PAGE - 1);
	let(addr, 1, PROT_READ | PROT_WRITE);
	regs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const bool steps = each != NULL;

	(void)sig;
	(void)info;
	if (now.nr == 0 || (uintptr_t)regs[REG_RIP] == now.again)
		return;
	regs[REG_EFL] &= ~TRAP_FLAG;
	while (now.nr > 0)
		let(now.pages[--now.nr], 1, PROT_READ);
	note(now.at, steps);
	if (!steps)
		return;
	/* What memcpy() stores is one, ended behind its first. */
	if (now.in_libc && now.at == last)
		return;
	last = now.in_libc ? now.at : 0;
	snprintf(where, PAGE, "%s+0x%llx", program_invocation_short_name,
		 (unsigned long long)now.at - 1);
	each(each_arg, where);
}

/* ---- for tests ---- */

/* As zt_stored_set(), for all stores. */
void zt_each_store(void (*hook)(void *arg, const char *point), void *arg);
void zt_each_store(void (*hook)(void *arg, const char *point), void *arg)
{
	last = 0;
	each_arg = arg;
	each = hook;
}

/* ---- the program's calls ---- */

static bool is_arena(int fd)
{
	char path[64], name[64];
	ssize_t len;

	if (fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, name, sizeof(name) - 1);
	name[len > 0 ? len : 0] = '\0';
	return strncmp(name, "/memfd:ztmpfs ", 14) == 0;
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	const bool ours = places && prot & PROT_WRITE && flags & MAP_SHARED && is_arena(fd);
	void *map = (void *)syscall(SYS_mmap, addr, len, ours ? PROT_READ : prot, flags, fd, off);

	for (unsigned i = 0; ours && map != MAP_FAILED && i < NR_ARENAS; i++)
		if (!arenas[i].start) {
			arenas[i].end = (uintptr_t)map + len;
			__atomic_store_n(&arenas[i].start, (uintptr_t)map, __ATOMIC_RELEASE);
			return map;
		}
	if (ours && map != MAP_FAILED)
		(void)mprotect(map, len, prot);
	return map;
}

int munmap(void *addr, size_t len)
{
	for (unsigned i = 0; i < NR_ARENAS; i++)
		if (arenas[i].start == (uintptr_t)addr)
			__atomic_store_n(&arenas[i].start, 0, __ATOMIC_RELEASE);
	return (int)syscall(SYS_munmap, addr, len);
}

#define LET_THROUGH(addr, len, call)                                                               \
	({                                                                                         \
		const bool in = arena_has((uintptr_t)(addr), (len));                               \
		long got;                                                                          \
                                                                                                   \
		if (in)                                                                            \
			let((uintptr_t)(addr), (len), PROT_READ | PROT_WRITE);                     \
		got = (call);                                                                      \
		if (in)                                                                            \
			let((uintptr_t)(addr), (len), PROT_READ);                                  \
		got;                                                                               \
	})

int madvise(void *addr, size_t len, int advice)
{
	if (advice != 23) /* MADV_POPULATE_WRITE */
		return (int)syscall(SYS_madvise, addr, len, advice);
	return (int)LET_THROUGH(addr, len, syscall(SYS_madvise, addr, len, advice));
}

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	return LET_THROUGH(buf, len, syscall(SYS_getrandom, buf, len, flags));
}

ssize_t read(int fd, void *buf, size_t len)
{
	return LET_THROUGH(buf, len, syscall(SYS_read, fd, buf, len));
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	return LET_THROUGH(buf, len, syscall(SYS_pread64, fd, buf, len, off));
}

ssize_t pread64(int fd, void *buf, size_t len, off_t off)
{
	return LET_THROUGH(buf, len, syscall(SYS_pread64, fd, buf, len, off));
}

/* Faults come here first. */
int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	static int (*next)(int, const struct sigaction *, struct sigaction *);

	if (!next)
		next = (int (*)(int, const struct sigaction *, struct sigaction *))dlsym(
			RTLD_NEXT, "sigaction");
	if (!places || (sig != SIGSEGV && sig != SIGTRAP))
		return next(sig, act, old);
	if (old)
		*old = others;
	if (act && sig == SIGSEGV)
		others = *act;
	return 0;
}

/* ---- life ---- */

static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *head = &info->dlpi_phdr[i];

		if (head->p_type == PT_LOAD && head->p_flags & PF_X)
			program_end = info->dlpi_addr + head->p_vaddr + head->p_memsz;
	}
	program = info->dlpi_addr;
	return 1; /* the program is the first */
}

static __attribute__((constructor)) void begin(void)
{
	const char *path = getenv("ZT_STORES");
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction trap = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	const size_t size = NR_PLACES * sizeof(struct place);
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		return;
	(void)dl_iterate_phdr(find_program, NULL);
	if (sigaction(SIGSEGV, &fault, NULL) != 0 || sigaction(SIGTRAP, &trap, NULL) != 0)
		return;
	places = (struct place *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
					 fd, 0);
	where = (char *)syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (places == MAP_FAILED || where == MAP_FAILED)
		places = NULL;
	close(fd);
}
