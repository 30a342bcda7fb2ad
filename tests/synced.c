/* Notes how much of each file is on disk: preloaded into a server, so that a test can take the rest away. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Write the size that a file had before it was written to disk to `NAME.synced` in the folder SYNCED. */
static int noted(const char *function, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    struct stat before;
    char link[64], path[PATH_MAX], note[PATH_MAX];
    int known = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = real(fd);
    if (result != 0 || !known)
        return result;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return result;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    snprintf(note, sizeof note, "%s/%s.synced", getenv("SYNCED"), name ? name + 1 : path);
    FILE *file = fopen(note, "w");
    if (file) {
        fprintf(file, "%lld", (long long)before.st_size);
        fclose(file);
    }
    return result;
}

int fsync(int fd) { return noted("fsync", fd); }
int fdatasync(int fd) { return noted("fdatasync", fd); }
