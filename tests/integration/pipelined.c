/* SPDX-License-Identifier: Apache-2.0
 * The C client with many requests in flight, over the death of the server it talks to: completions
 * in order, acknowledged creates kept, the session, its ephemeral and its watch alive afterwards.
 * Called by c_client.py, which kills the server when this program says "pouring". */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { CALM = 5000, STORM = 20000, AT_A_TIME = 200 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int connected, answered, in_order = 1, lost, other, watch_fired, losses;
static char made[CALM + STORM];

static void fail(const char *what, int code) {
  printf("failed: %s: %s (%d)\n", what, zerror(code), code);
  exit(1);
}

static void on_session(zhandle_t *zh, int type, int state, const char *path, void *context) {
  pthread_mutex_lock(&mutex);
  if (type == ZOO_SESSION_EVENT) {
    if (connected && state == ZOO_CONNECTING_STATE) losses++;
    if (state == ZOO_EXPIRED_SESSION_STATE) fail("session", ZSESSIONEXPIRED);
    connected = state == ZOO_CONNECTED_STATE;
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void on_watch(zhandle_t *zh, int type, int state, const char *path, void *context) {
  if (type != ZOO_CHANGED_EVENT) return;
  pthread_mutex_lock(&mutex);
  watch_fired++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void on_created(int code, const char *name, const void *data) {
  int number = (int)(long)data;
  pthread_mutex_lock(&mutex);
  if (number != answered) in_order = 0;
  answered++;
  if (code == ZOK) {
    made[number] = 1;
  } else if (code == ZCONNECTIONLOSS || code == ZOPERATIONTIMEOUT) {
    lost++;
  } else {
    other++;
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void await(const int *value, int least) {
  pthread_mutex_lock(&mutex);
  while (*value < least) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

/* Sends creates of numbers [from, to), as many in flight as `window` allows. */
static void pour(zhandle_t *zh, int from, int to, int window) {
  char path[64];
  for (int i = from; i < to; i++) {
    await(&answered, i - window);
    snprintf(path, sizeof(path), "/c/n%05d", i);
    int code = zoo_acreate(zh, path, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, on_created, (void *)(long)i);
    if (code != ZOK) fail("zoo_acreate", code);
  }
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  zoo_set_debug_level(0);
  zoo_deterministic_conn_order(1);
  zhandle_t *zh = zookeeper_init(arguments[1], on_session, 10000, NULL, NULL, 0);
  await(&connected, 1);
  long long session = zoo_client_id(zh)->client_id;
  int code = zoo_create(zh, "/c", "0", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
  if (code == ZOK) {
    code = zoo_create(zh, "/mine", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0);
  }
  if (code != ZOK) fail("zoo_create", code);

  pour(zh, 0, CALM, CALM);
  await(&answered, CALM);
  printf("%d creates in flight at once: in order %d, lost %d, other errors %d\n", CALM, in_order,
         lost, other);

  char buffer[16];
  int length = sizeof(buffer);
  code = zoo_wget(zh, "/c", on_watch, NULL, buffer, &length, NULL);
  if (code != ZOK) fail("zoo_wget", code);
  printf("pouring\n");
  pour(zh, CALM, CALM + STORM, AT_A_TIME);
  await(&answered, CALM + STORM);
  fprintf(stderr, "%d creates lost their answer, %d times a server\n", lost, losses);
  printf("over the death of a server: in order %d, other errors %d, lost some %d\n", in_order,
         other, losses > 0);

  await(&connected, 1);
  int missing = 0;
  char path[64];
  struct Stat stat;
  for (int i = 0; i < CALM + STORM; i++) {
    if (!made[i]) continue;
    snprintf(path, sizeof(path), "/c/n%05d", i);
    do {
      code = zoo_exists(zh, path, 0, &stat);
    } while (code == ZCONNECTIONLOSS);
    missing += code != ZOK;
    i += i % 7;  /* a sample: all of them would take longer than the test */
  }
  code = zoo_exists(zh, "/mine", 0, &stat);
  printf("acknowledged and missing %d, same session %d, ephemeral %s\n", missing,
         session == zoo_client_id(zh)->client_id, zerror(code));
  code = zoo_set(zh, "/c", "1", 1, -1);
  if (code != ZOK) fail("zoo_set", code);
  await(&watch_fired, 1);
  printf("the watch fired after the reconnect\n");
  zookeeper_close(zh);
  return 0;
}
