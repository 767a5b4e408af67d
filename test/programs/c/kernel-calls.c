/* What a program asks a kernel for, and what it is told when that fails. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int names(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void say(const char *what, long result) {
  printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
}

int main(void) {
  FILE *f = fopen("data", "w+");
  for (int i = 0; i < 2000; i++) fprintf(f, "line %d\n", i);
  fseek(f, 5000, SEEK_SET);
  char line[100] = "";
  fgets(line, sizeof line, f), fgets(line, sizeof line, f);
  printf("%ld %s", ftell(f), line);
  fclose(f);

  int fd = open("data", O_RDWR | O_APPEND);
  struct iovec parts[2] = {{"abc", 3}, {"defg", 4}};
  say("writev", writev(fd, parts, 2));
  say("pread", pread(fd, line, 10, 100));
  say("lseek", lseek(fd, -7, SEEK_END));
  say("read", read(fd, line, 50));
  printf("%.7s\n", line);
  int copy = dup2(fd, 9);
  say("shared position", lseek(copy, 0, SEEK_CUR));
  say("getfl", fcntl(copy, F_GETFL) & (O_APPEND | O_RDWR));
  say("truncate", ftruncate(fd, 10));
  struct stat st;
  say("fstat", fstat(fd, &st));
  printf("%ld %o %ld\n", (long)st.st_size, st.st_mode, (long)st.st_nlink);
  close(fd);
  say("closed", read(fd, line, 1));
  say("still open", lseek(9, 0, SEEK_END));
  const char *mapped = mmap(0, 4096, PROT_READ, MAP_PRIVATE, 9, 0);
  printf("%.10s %d\n", mapped, mapped[10]);

  say("mkdir", mkdir("folder", 0777));
  say("mkdir", mkdir("folder", 0777));
  say("symlink", symlink("../data", "folder/link"));
  say("readlink", readlink("folder/link", line, sizeof line));
  say("link", link("data", "folder/other"));
  say("rename", rename("folder/other", "folder/renamed"));
  say("chmod", chmod("folder/renamed", 0640));
  say("lstat", lstat("folder/link", &st));
  printf("%o\n", st.st_mode);
  say("stat", stat("folder/link", &st));
  printf("%o %ld\n", st.st_mode, (long)st.st_nlink);
  say("access", access("folder/nothing", F_OK));
  say("not a folder", open("data/x", O_RDONLY));
  say("a folder", open("folder", O_WRONLY));
  say("exclusive", open("data", O_CREAT | O_EXCL | O_WRONLY, 0600));
  struct dirent **entries;
  int n = scandir("folder", &entries, 0, names);
  for (int i = 0; i < n; i++) printf("%s %d\n", entries[i]->d_name, entries[i]->d_type);
  say("rmdir", rmdir("folder"));
  say("chdir", chdir("folder"));
  say("unlink", unlink("link"));
  say("unlink", unlink("link"));
  say("stat", stat("../data", &st));

  int ends[2];
  say("pipe", pipe(ends) < 0);
  say("write", write(ends[1], "through", 7));
  struct pollfd ready = {ends[0], POLLIN, 0};
  say("poll", poll(&ready, 1, 0));
  say("read", read(ends[0], line, sizeof line));
  say("seek", lseek(ends[0], 0, SEEK_SET));
  say("wrong end", write(ends[0], "x", 1));
  say("bad pointer", write(ends[1], (void *)8, 1));
  say("bad pointer", stat((void *)8, &st));
  say("isatty", isatty(1));
  say("stdin", read(0, line, sizeof line));
  say("end", read(0, line, sizeof line));
  say("no such call", syscall(5000));
  say("brk", sbrk(100000) == (void *)-1);
  return 5;
}
