/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The header in C11, the shared object, and no EAL: two channels, a burst across, replies back. What needs an EAL says
 * so and everything else works.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmbpkt.h>

enum { BURST = 32 };

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(EXIT_FAILURE);                                                             \
    }                                                                                 \
  } while (0)

static unsigned int ended;

static void on_end(vmb_packet* packet, vmb_status status, const void* buffer, uint32_t buffer_length) {
  unsigned int number = *(unsigned int*)vmb_packet_get_pointer(packet);
  uint64_t reply = 0;

  CHECK(vmb_status_is_success(status));
  CHECK(buffer_length == sizeof(reply));
  memcpy(&reply, buffer, sizeof(reply));
  CHECK(reply == number * 2u);
  ended++;
}

static vmb_channel* make(bool is_server) {
  vmb_channel* channel = NULL;

  CHECK(vmb_channel_allocate(NULL, is_server, &channel) == VMB_STATUS_SUCCESS);
  CHECK(vmb_channel_init_set_link(channel, "c_api") == VMB_STATUS_SUCCESS);
  CHECK(vmb_channel_init_set_maximum_packet_size(channel, 64) == VMB_STATUS_SUCCESS);
  CHECK(vmb_channel_init_set_pull_mode(channel) == VMB_STATUS_SUCCESS);
  CHECK(vmb_channel_enable(channel) == VMB_STATUS_SUCCESS);
  return channel;
}

int main(void) {
  vmb_channel* server = make(true);
  vmb_channel* client = make(false);
  uint32_t size = vmb_channel_sizeof_packet(client);
  void* memory = aligned_alloc(64, (size_t)size * BURST);
  vmb_packet* packets[BURST];
  vmb_packet* allocated[1];
  unsigned int numbers[BURST];
  uint64_t payloads[BURST];
  vmb_send_desc sends[BURST];
  vmb_recv_desc received[BURST];
  vmb_complete_desc completions[BURST];
  uint64_t replies[BURST];
  vmb_status status = VMB_STATUS_UNSUCCESSFUL;

  CHECK(memory != NULL);
  CHECK(vmb_channel_is_open(server) && vmb_channel_is_open(client));
  CHECK(vmb_packet_allocate(client) == NULL);
  CHECK(vmb_packet_allocate_bulk(client, allocated, 1) == VMB_STATUS_NOT_SUPPORTED);

  CHECK(vmb_packet_initialize_bulk(client, memory, size, BURST, packets) == VMB_STATUS_SUCCESS);
  for (unsigned int i = 0; i < BURST; i++) {
    numbers[i] = i;
    payloads[i] = i;
    vmb_packet_set_pointer(packets[i], &numbers[i]);
    vmb_packet_set_completion_routine(packets[i], on_end);
    sends[i] = (vmb_send_desc){.packet = packets[i],
                               .buffer = &payloads[i],
                               .buffer_length = sizeof(payloads[i]),
                               .flags = VMB_SEND_FLAG_WAIT_FOR_COMPLETION};
  }
  CHECK(vmb_packet_send_burst(client, sends, BURST, &status) == BURST);
  CHECK(status == VMB_STATUS_SUCCESS);

  CHECK(vmb_channel_receive_burst(server, received, BURST) == BURST);
  for (unsigned int i = 0; i < BURST; i++) {
    memcpy(&replies[i], received[i].buffer, sizeof(replies[i]));
    replies[i] *= 2;
    completions[i] = (vmb_complete_desc){received[i].packet, &replies[i], sizeof(replies[i])};
  }
  vmb_channel_packet_complete_bulk(completions, BURST);

  CHECK(vmb_channel_poll(client, 0) == 0);
  CHECK(ended == BURST);

  vmb_channel_disable(client);
  vmb_channel_disable(server);
  vmb_channel_cleanup(client);
  vmb_channel_cleanup(server);
  free(memory);
  (void)printf("%u packets there and back\n", ended);
  return EXIT_SUCCESS;
}
