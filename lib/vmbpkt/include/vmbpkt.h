/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvmbpkt: VMBus packets and channels in user space, in batches.
 *
 * A channel is one end, server or client, of one pipe: a ring out and a ring in. An outgoing packet is a reusable
 * object that holds everything its send needs, so that a send does not fail for lack of memory: a full ring queues the
 * packet and is not an error. An incoming packet is a token that names it until it is completed, exactly once.
 *
 * Nothing happens behind the caller's back: received packets and completions are handed over inside vmb_channel_poll()
 * and vmb_channel_receive_burst(), and inside the send that put a packet into the ring. Every `_burst` and `_bulk` call
 * is defined as the same single calls made one after another, with two differences: ring indices are published once,
 * and the peer is notified at most once.
 *
 * Names and contracts are those of the kernel-mode client library for VMBus (KMCL) in DPDK's spelling; statuses have
 * its NTSTATUS values. Where its public documentation is silent, the decision is written with the function.
 *
 * Shapes   Handles are opaque pointers. Sizes are bytes unless the name says otherwise. Every `count` may be 0.
 * Threads  Settings, enable, disable and cleanup: one control thread per channel. Poll and receive: one thread at a
 *          time, the channel's owner, normally an lcore; a second one finds nothing to do. Send, complete, allocate and
 *          free: any thread; a send or a completion that meets another thread inside the channel is left with that
 *          channel, and goes out with the owner's next poll. Nothing on those paths blocks or makes a system call.
 * Misuse   What a call without a status cannot refuse (a double free, a packet completed twice): where assertions are
 *          on, an abort that names the call; else nothing is changed, one is added to vmb_channel_misuse_count(), and
 *          the log says so.
 * Source   The contracts, unless a function says otherwise: the public DDI pages of the KMCL header and the comments in
 *          that header, restated.
 */
#ifndef VMBPKT_H
#define VMBPKT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#  pragma GCC visibility push(default)
#endif

/* ---- statuses ---- */

/** An NTSTATUS value. */
typedef uint32_t vmb_status;

#define VMB_STATUS_SUCCESS                ((vmb_status)0x00000000)
#define VMB_STATUS_BUFFER_OVERFLOW        ((vmb_status)0x80000005) /* did not fit */
#define VMB_STATUS_UNSUCCESSFUL           ((vmb_status)0xC0000001)
#define VMB_STATUS_INSUFFICIENT_RESOURCES ((vmb_status)0xC000009A) /* no memory, or a limit that was set */
#define VMB_STATUS_NOT_SUPPORTED          ((vmb_status)0xC00000BB) /* client-only on a server; needs an EAL */
#define VMB_STATUS_INVALID_PARAMETER_1    ((vmb_status)0xC00000EF) /* the n-th argument is at fault */
#define VMB_STATUS_INVALID_PARAMETER_2    ((vmb_status)0xC00000F0)
#define VMB_STATUS_INVALID_PARAMETER_3    ((vmb_status)0xC00000F1)
#define VMB_STATUS_INVALID_PARAMETER_4    ((vmb_status)0xC00000F2)
#define VMB_STATUS_INVALID_PARAMETER_5    ((vmb_status)0xC00000F3)
#define VMB_STATUS_CANCELLED              ((vmb_status)0xC0000120)
#define VMB_STATUS_INVALID_DEVICE_STATE   ((vmb_status)0xC0000184) /* not in this state, or not from a callback */
#define VMB_STATUS_DEVICE_PROTOCOL_ERROR  ((vmb_status)0xC0000186) /* the peer broke the rules */
#define VMB_STATUS_DEVICE_REMOVED         ((vmb_status)0xC00002B6) /* the channel went away under the packet */

/** True for success; false for warnings and errors. */
static inline bool vmb_status_is_success(vmb_status status) { return status < 0x80000000u; }

/* ---- defaults and limits ---- */

#define VMB_DEFAULT_MAXIMUM_PACKET_SIZE        4096u
#define VMB_DEFAULT_MAXIMUM_PACKET_COUNT       1024u
#define VMB_DEFAULT_INLINE_PACKET_CONTEXT_SIZE 0u
#define VMB_DEFAULT_MAXIMUM_EXTERNAL_DATA      0u /* bytes, and chain length: no external data */
#define VMB_DEFAULT_TRANSACTION_QUOTA          1024u /* packets handed over and not yet completed; what fits 16 MiB if less */
#define VMB_DEFAULT_RING_PAGES                 64u /* of 4096 bytes, per ring, its control page included */
#define VMB_ANY_NODE                           (-1)

#define VMB_LARGEST_PACKET_SIZE                524240u /* keeps descriptor and payload below 65535 units of 8 bytes */
#define VMB_LARGEST_PACKET_COUNT               1048576u
#define VMB_LARGEST_INLINE_PACKET_CONTEXT_SIZE 65536u
#define VMB_LARGEST_RING_PAGES                 262144u
#define VMB_LONGEST_LINK_NAME                  63u
#define VMB_PACKET_ALIGNMENT                   16u /* of memory for vmb_packet_initialize(); 64 is better */

/* ---- flags ---- */

/** The transaction ends when the peer completes it, not when the packet is in the ring. */
#define VMB_SEND_FLAG_WAIT_FOR_COMPLETION 0x1u
/* These say something about external data or pageable memory; without either they change nothing. */
#define VMB_SEND_FLAG_FORCE_MDL_LENGTH 0x2u
#define VMB_SEND_FLAG_PAGED_BUFFER     0x4u
#define VMB_SEND_FLAG_DATA_IN_ONLY     0x8u
#define VMB_SEND_FLAG_DATA_OUT_ONLY    0x10u

/* ---- handles and callbacks ---- */

typedef struct vmb_channel vmb_channel;                     /* one end of a channel */
typedef struct vmb_packet vmb_packet;                       /* an outgoing packet: the address of its memory */
typedef struct vmb_packet_completion vmb_packet_completion; /* an incoming packet: a token, not an address */
typedef struct vmb_mdl vmb_mdl;                             /* external data; nothing makes one yet: pass NULL */

/**
 * A transaction has ended. The packet is idle again: free it, send it again, or keep it.
 *
 * @param status  SUCCESS: with WAIT_FOR_COMPLETION the peer completed it, else it is in the ring and nothing more is
 *                known. DEVICE_REMOVED: the channel was closed or disabled. BUFFER_OVERFLOW: queued before the ring was
 *                known, and too big for it.
 * @param buffer  a private copy of the peer's reply, padded by the peer to a multiple of 8; readable until the routine
 *                returns. NULL where there is none.
 * Threads  The sender's, before send returns, if the packet went straight into the ring without WAIT_FOR_COMPLETION;
 *          else the one that polls, receives or disables. Never two routines of a channel at once, and never one inside
 *          another: what a routine sends is queued and goes out after it. May call everything but the functions that
 *          poll, receive, enable, disable or clean up.
 */
typedef void (*vmb_packet_completion_routine)(vmb_packet* packet, vmb_status status, const void* buffer,
                                              uint32_t buffer_length);
typedef void (*vmb_packet_completion_routine_ex)(vmb_packet* packet, void* callback_context, vmb_status status,
                                                 const void* buffer, uint32_t buffer_length);

/**
 * A packet has come in; complete it with vmb_channel_packet_complete(), now or later, exactly once.
 *
 * @param buffer  a private copy of the payload, readable until completed, 16-byte aligned.
 * @param buffer_length  a multiple of 8, for the wire knows no other lengths: the sender's plus its padding.
 * @param flags   0 (external data comes later).
 * Threads  the one that polls; may call what a completion routine may.
 */
typedef void (*vmb_process_packet)(vmb_channel* channel, vmb_packet_completion* packet, const void* buffer,
                                   uint32_t buffer_length, uint32_t flags);
typedef void (*vmb_process_packet_ex)(vmb_channel* channel, void* callback_context, vmb_packet_completion* packet,
                                      const void* buffer, uint32_t buffer_length, uint32_t flags);

/** The last packet of a poll was handed over. Once per poll that handed over at least one. */
typedef void (*vmb_processing_complete)(vmb_channel* channel, uint32_t packets_processed);
typedef void (*vmb_processing_complete_ex)(vmb_channel* channel, void* callback_context, uint32_t packets_processed);

/* ---- channel: making, unmaking ---- */

/**
 * Make a channel, disabled, with the defaults above.
 *
 * @param parent     the caller's, stored and never looked at; may be NULL.
 * @param is_server  true: the end that offers. false: the end that opens what is offered, and donates the rings.
 * @param channel    receives the handle.
 * @return  SUCCESS; INVALID_PARAMETER_3 channel NULL; INSUFFICIENT_RESOURCES no memory, or 4096 channels exist.
 */
vmb_status vmb_channel_allocate(void* parent, bool is_server, vmb_channel** channel);

/**
 * Destroy a disabled channel (an enabled one: misuse, nothing happens). NULL is a no-op.
 *
 * Its allocated packets must all have been freed: else misuse, and the channel stays, disabled, rather than being pulled
 * from under them; a later call may find them freed. Initialized packets need nothing; they are dead with the channel,
 * and so is a received packet that was not completed.
 */
void vmb_channel_cleanup(vmb_channel* channel);

/** One pointer of the caller's. Stored, never followed. NULL before the first set. */
void vmb_channel_set_pointer(vmb_channel* channel, void* pointer);
void* vmb_channel_get_pointer(const vmb_channel* channel);

/** The parent given to vmb_channel_allocate(). */
void* vmb_channel_get_parent(const vmb_channel* channel);

/* ---- channel: settings, all while disabled ---- */

/*
 * Every setter answers INVALID_PARAMETER_1 unless the channel is disabled. Those that decide the size of a packet
 * (maximum packet size, external data, packet count, inline context, and the node) answer it also once a packet
 * was allocated or initialized or the channel was ever enabled: from then on sizes do not change.
 */

/**
 * The most bytes of inline payload ever sent or received, replies included: [1, VMB_LARGEST_PACKET_SIZE].
 * A peer that sends more breaks the rules: the channel stops (see vmb_channel_get_stats()).
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2 size.
 */
vmb_status vmb_channel_init_set_maximum_packet_size(vmb_channel* channel, uint32_t packet_size);

/**
 * The most external bytes, and pieces of memory, that one packet describes. For now they only size the packet.
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2, _3: 0, or descriptors of 524280 bytes and more.
 */
vmb_status vmb_channel_init_set_maximum_external_data(vmb_channel* channel, uint32_t data_size, uint32_t chain_length);

/**
 * The most packets sent and not yet ended, queued ones included: [1, VMB_LARGEST_PACKET_COUNT]. Also the number of
 * packets that vmb_packet_allocate() can give out.
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2 count.
 */
vmb_status vmb_channel_init_set_maximum_packet_count(vmb_channel* channel, uint32_t packet_count);

/**
 * Scratch bytes within each outgoing packet: [0, VMB_LARGEST_INLINE_PACKET_CONTEXT_SIZE].
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2 size.
 */
vmb_status vmb_channel_init_set_inline_packet_context_size(vmb_channel* channel, uint32_t context_size);

/**
 * Pages of 4096 bytes for each ring as the client sees them, control page included: [2, VMB_LARGEST_RING_PAGES].
 * A ring too small for one packet of the maximum size is made bigger.
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2, _3 count; NOT_SUPPORTED on a server.
 */
vmb_status vmb_client_channel_init_set_ring_buffer_page_count(vmb_channel* channel, uint32_t incoming_page_count,
                                                              uint32_t outgoing_page_count);

/**
 * The NUMA node for packets, rings and received packets; VMB_ANY_NODE (the default) leaves it to the EAL.
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2 below VMB_ANY_NODE.
 * Source   ours.
 */
vmb_status vmb_channel_init_set_socket(vmb_channel* channel, int numa_node);

/**
 * The name of the link inside this process on which a server offers and a client waits: 1 to VMB_LONGEST_LINK_NAME
 * characters, copied. It stands where interface type and instance stand on a real bus.
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2 name.
 * Source   ours.
 */
vmb_status vmb_channel_init_set_link(vmb_channel* channel, const char* name);

/**
 * Received packets go to these routines from vmb_channel_poll(). The last of plain, _ex and pull counts.
 * @param processing_complete  may be NULL.
 * @return  SUCCESS; INVALID_PARAMETER_1 state; INVALID_PARAMETER_2 (_3) process_packet NULL.
 */
vmb_status vmb_channel_init_set_process_packet_callbacks(vmb_channel* channel, vmb_process_packet process_packet,
                                                         vmb_processing_complete processing_complete);
vmb_status vmb_channel_init_set_process_packet_callbacks_ex(vmb_channel* channel, void* callback_context,
                                                            vmb_process_packet_ex process_packet,
                                                            vmb_processing_complete_ex processing_complete);

/**
 * Received packets wait for vmb_channel_receive_burst(); there is no routine.
 * @return  SUCCESS; INVALID_PARAMETER_1 state.
 * Source   ours.
 */
vmb_status vmb_channel_init_set_pull_mode(vmb_channel* channel);

/**
 * When a packet sent without WAIT_FOR_COMPLETION ends: false (the default), inside the send if it went straight into
 * the ring; true, always in a poll.
 * @return  SUCCESS; INVALID_PARAMETER_1 state.
 * Source   ours.
 */
vmb_status vmb_channel_init_set_deferred_completion(vmb_channel* channel, bool deferred);

/* ---- channel: life ---- */

/**
 * Disabled -> enabled. A server offers on its link, a client takes the offer or waits for one; whichever end comes last
 * opens the channel, within its call. Never waits for the peer.
 *
 * A server whose client has gone stays enabled, and opens again for the next one. A client whose server has gone is
 * disabled, and may be enabled again.
 *
 * @return  SUCCESS; INVALID_PARAMETER_1 no handle, no link, or neither callbacks nor pull mode; INVALID_DEVICE_STATE
 *          not disabled, or called from a packet callback; UNSUCCESSFUL the link has that end already;
 *          INSUFFICIENT_RESOURCES no memory.
 */
vmb_status vmb_channel_enable(vmb_channel* channel);

/**
 * Enabled -> disabled. Stops receiving; waits until every packet that was handed over is completed (for ever if one
 * never is; the log says so after a second); takes the offer back or closes; then ends every packet that was sent and
 * has not ended, oldest first, once each, with DEVICE_REMOVED, on this thread. A packet that a completion routine
 * sends from there is refused with INVALID_DEVICE_STATE and stays the caller's.
 *
 * Disabled: ends the packets that are left from a peer's close, else nothing. From a packet callback: misuse.
 */
void vmb_channel_disable(vmb_channel* channel);

/**
 * The most packets handed over and not yet completed, at any time; more than the channel has room for
 * (VMB_DEFAULT_TRANSACTION_QUOTA) counts as that room. Below the present number nothing is handed over until enough are
 * completed. Raising it restarts nothing: a channel that a poll found at its quota goes on after the next completion.
 *
 * @param quota  above 0; 0 is misuse, and nothing changes.
 * Threads  any.
 */
void vmb_channel_set_transaction_quota(vmb_channel* channel, uint32_t quota);

/** True while both ends are enabled and packets can cross. Source: ours, until state-change callbacks come. */
bool vmb_channel_is_open(const vmb_channel* channel);

/**
 * One turn: end the packets of a channel that the peer closed, send what is queued, end what the peer completed, hand
 * received packets to the callback.
 *
 * @param budget  the most packets handed over; 0: none, but the rest is done. In pull mode none is handed over.
 * @return  packets handed over. 0 also where another thread is inside. From a packet callback: misuse, 0.
 */
uint32_t vmb_channel_poll(vmb_channel* channel, uint32_t budget);

struct vmb_channel_stats {
  uint32_t size;                /* in: sizeof(struct vmb_channel_stats) */
  uint32_t outstanding;         /* packets sent and not yet ended, queued ones included */
  uint32_t queued;              /* of these and of replies: waiting for room, or for the peer */
  uint32_t held;                /* packets received and not yet completed */
  uint64_t sent;                /* packets put into the ring, replies not included */
  uint64_t received;            /* packets handed over */
  uint64_t unknown_completions; /* the peer completed what was not in flight: late, double, or made up */
  uint64_t faults;              /* times that the channel stopped because the peer broke the rules */
  const char* fault;            /* the last such rule, a constant string; NULL: none */
};

/**
 * Exact when called by the owner, else a little late.
 * @return  SUCCESS; INVALID_PARAMETER_1; INVALID_PARAMETER_2 stats NULL or `size` below the first two members; members
 *          beyond `size` are not written.
 */
vmb_status vmb_channel_get_stats(const vmb_channel* channel, struct vmb_channel_stats* stats);

/** Calls that broke a rule of this header and had no status to say it with. Always 0 where misuse aborts. */
uint64_t vmb_channel_misuse_count(const vmb_channel* channel);

/* ---- packets: making, unmaking ---- */

/** Bytes that vmb_packet_initialize() needs at least: depends on the maxima, a multiple of 64. 0: no handle. */
uint32_t vmb_channel_sizeof_packet(const vmb_channel* channel);

/**
 * Make a packet in the caller's memory. The packet is wholly within [packet, packet + byte_count), takes nothing from
 * the pool, and needs no freeing; the memory is the caller's again whenever the packet is not in flight. It has no
 * completion routine: one must be set before the first send.
 *
 * Memory that is a packet already is made a new one. In flight: undefined (misuse where assertions are on).
 *
 * @param packet      the memory, aligned to VMB_PACKET_ALIGNMENT. Its address is the handle.
 * @param byte_count  at least vmb_channel_sizeof_packet().
 * @return  SUCCESS; INVALID_PARAMETER_3 too small, nothing was written. Ours: INVALID_PARAMETER_1 no channel;
 *          INVALID_PARAMETER_2 NULL or misaligned.
 */
vmb_status vmb_packet_initialize(vmb_channel* channel, vmb_packet* packet, uint32_t byte_count);

/**
 * The same for `count` packets in one block: packet i at base + i * stride.
 * @param stride   obeys what byte_count obeys, and is a multiple of VMB_PACKET_ALIGNMENT.
 * @param packets  receives the handles; may be NULL.
 * @return  as vmb_packet_initialize(), all or none.
 */
vmb_status vmb_packet_initialize_bulk(vmb_channel* channel, void* base, uint32_t stride, uint32_t count,
                                      vmb_packet** packets);

/**
 * Take a packet from the channel's pool. Its completion routine frees it until another one is set.
 *
 * The first call makes the pool (milliseconds; needs an EAL): make it at set-up. The pool has a cache per lcore:
 * packets that rest in another lcore's cache are not to be had here, and threads that are no lcore bypass it.
 *
 * @return  NULL: all are in use; or there is no pool, and the log has said once why.
 */
vmb_packet* vmb_packet_allocate(vmb_channel* channel);

/**
 * All or none.
 * @return  SUCCESS; INVALID_PARAMETER_1; INVALID_PARAMETER_2 packets NULL; INSUFFICIENT_RESOURCES fewer than `count`
 *          are left, or no memory for the pool; NOT_SUPPORTED no EAL is running.
 */
vmb_status vmb_packet_allocate_bulk(vmb_channel* channel, vmb_packet** packets, uint32_t count);

/**
 * Give an idle packet back to the pool it was allocated from; the handle is dead on return. Due exactly when the packet
 * was not sent, or its completion routine was replaced. NULL is a no-op.
 *
 * Misuse: a packet that is free already, that is in flight, or that was initialized.
 */
void vmb_packet_free(vmb_packet* packet);

/** The packets all belong to one channel. One that must not be freed does not keep the others from being freed. */
void vmb_packet_free_bulk(vmb_packet* const* packets, uint32_t count);

/* ---- packets: what they carry ---- */

/**
 * Who is told when the transaction ends; the last call of both wins, and stays through any number of sends. NULL: nobody
 * can be, and a send is refused. In flight, or a freed packet: misuse.
 */
void vmb_packet_set_completion_routine(vmb_packet* packet, vmb_packet_completion_routine routine);
void vmb_packet_set_completion_routine_ex(vmb_packet* packet, void* callback_context,
                                          vmb_packet_completion_routine_ex routine);

/** One pointer of the caller's per packet; NULL at first; stays until the packet is freed or initialized again. */
void vmb_packet_set_pointer(vmb_packet* packet, void* pointer);
void* vmb_packet_get_pointer(const vmb_packet* packet);

/** The channel that the packet belongs to for life. */
vmb_channel* vmb_packet_get_channel(const vmb_packet* packet);

/** The scratch bytes of vmb_channel_init_set_inline_packet_context_size(), 16-byte aligned; NULL: that is 0. */
void* vmb_packet_get_inline_packet_context_pointer(vmb_packet* packet);

/* ---- sending ---- */

/**
 * Send, or queue behind what is queued: packets never overtake each other. On success the packet is the library's until
 * its completion routine is entered, which may be before this function returns.
 *
 * @param buffer  copied before the function returns; may be NULL if buffer_length is 0.
 * @param buffer_length  [0, maximum packet size]. The peer sees it rounded up to 8 with zeros.
 * @param external_data  NULL.
 * @param flags   VMB_SEND_FLAG_*.
 * @return  SUCCESS: sent or queued, which look the same. Else the packet stays idle and the caller's:
 *          INVALID_PARAMETER_1 not an idle packet, or no completion routine; INVALID_PARAMETER_2 buffer NULL;
 *          INVALID_PARAMETER_3 too long; INVALID_PARAMETER_4 external data; INVALID_PARAMETER_5 unknown flags, or
 *          DATA_IN_ONLY with DATA_OUT_ONLY; INVALID_DEVICE_STATE the channel is disabled;
 *          INSUFFICIENT_RESOURCES the maximum packet count is on its way already.
 */
vmb_status vmb_packet_send(vmb_packet* packet, const void* buffer, uint32_t buffer_length, vmb_mdl* external_data,
                           uint32_t flags);

typedef struct vmb_send_desc {
  vmb_packet* packet;
  const void* buffer;
  uint32_t buffer_length;
  uint32_t flags;
  vmb_mdl* external_data;
} vmb_send_desc;

/**
 * Send in order until the first refusal.
 * @param first_error  may be NULL; receives SUCCESS or the status of the refusal (a packet of another channel:
 *                     INVALID_PARAMETER_1).
 * @return  how many were sent or queued; the others are untouched and the caller's.
 */
uint32_t vmb_packet_send_burst(vmb_channel* channel, const vmb_send_desc* descs, uint32_t count,
                               vmb_status* first_error);

/* ---- receiving ---- */

typedef struct vmb_recv_desc {
  vmb_packet_completion* packet;
  const void* buffer; /* as for vmb_process_packet */
  uint32_t buffer_length;
  uint32_t flags;
} vmb_recv_desc;

/**
 * Pull mode: take up to `max` packets, in order, each to be completed exactly once; otherwise as vmb_channel_poll(),
 * so completion routines run from here, too.
 * @return  how many. 0 also where another thread is inside, or without pull mode. From a packet callback: misuse, 0.
 */
uint32_t vmb_channel_receive_burst(vmb_channel* channel, vmb_recv_desc* descs, uint32_t max);

/**
 * Retire a received packet, and answer it if its sender asked for that. Exactly once per packet, answered or not, in
 * any order, also after the channel closed (then nothing is sent). A reply for which the ring has no room is queued.
 *
 * @param buffer  the reply, copied; may be the packet's own buffer; may be NULL if buffer_length is 0.
 * @param buffer_length  [0, maximum packet size]; more is misuse, and an empty reply goes out.
 * Misuse: a token that is not, or no longer, a received packet.
 */
void vmb_channel_packet_complete(vmb_packet_completion* packet, const void* buffer, uint32_t buffer_length);

typedef struct vmb_complete_desc {
  vmb_packet_completion* packet;
  const void* buffer;
  uint32_t buffer_length;
} vmb_complete_desc;

/** One notification per run of packets of one channel. */
void vmb_channel_packet_complete_bulk(const vmb_complete_desc* descs, uint32_t count);

#if defined(__GNUC__)
#  pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif /* VMBPKT_H */
