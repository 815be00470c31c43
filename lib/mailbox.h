/*
 * mailbox.h - hand things to the thread that runs a loop
 *
 * Any thread posts; the loop's thread gets each thing once, in order, from on_mail.
 * A bounded ring under a mutex and one ev_async_send, which is the only call that may
 * cross between loops. What is still inside when the mailbox is freed is given to
 * `drop`, so ownership is never lost.
 */
#pragma once

#include <stddef.h>

struct ev_loop;
struct mailbox;

typedef void mailbox_f(void *data, void *mail);

/* On the loop's thread, or before it runs. NULL without memory. */
struct mailbox *mailbox_new(struct ev_loop *loop, size_t n_slots,
    mailbox_f *on_mail, mailbox_f *drop, void *data);

/* The loop must not run any more, and nobody may post. */
void mailbox_free(struct mailbox *m);

/* Takes `mail` over and returns 0; -EAGAIN when full, and it is still the caller's. */
int mailbox_post(struct mailbox *m, void *mail);
