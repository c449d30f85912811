/* A gate between products of BLAS and forks.

   OpenBLAS stops its threads before a fork, by a handler of its own, and waits for ever if one of
   them is at work for another thread.  So a fork lets the products that run here end, and begins
   none until it is over.  Between the two calls no thread may want Python's lock, which the forking
   thread holds, nor fork; handlers of Python's signals, which do, run between products.

   It takes a buffer of 32 MiB for each product that runs beside others, keeps it, and without
   memory for it tries for ever, or ends the process, by its version.  So the first product that has
   so many beside it sees whether there is room, and does not begin if not. */
#ifndef CV_PRODUCTS_H
#define CV_PRODUCTS_H

#include <stdlib.h>

#include "port.h"

#if CV_HAS_THREADS && CV_IS_POSIX
static pthread_mutex_t cv_gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv_gate_moved = PTHREAD_COND_INITIALIZER;
static pthread_once_t cv_gate_known = PTHREAD_ONCE_INIT;
static int cv_products;      /* that run */
static int cv_products_most; /* that ran at once: so many buffers are there */
static int cv_forks;         /* that wait for their end */

static void cv_products_before_fork(void) {
    pthread_mutex_lock(&cv_gate);
    cv_forks++;
    while (cv_products)
        pthread_cond_wait(&cv_gate_moved, &cv_gate);
    cv_forks--;
}
static void cv_products_after_fork(void) {
    pthread_cond_broadcast(&cv_gate_moved);
    pthread_mutex_unlock(&cv_gate);
}
static void cv_products_in_child(void) { /* where nobody waits, whoever did in the parent */
    pthread_mutex_init(&cv_gate, NULL);
    pthread_cond_init(&cv_gate_moved, NULL);
    cv_forks = 0;
}
/* What is registered last runs first: BLAS has been loaded. */
static void cv_products_install(void) {
    cv_at_fork(cv_products_before_fork, cv_products_after_fork, cv_products_in_child);
}

static int cv_product_has_room(void) {
    void *volatile buffer = malloc((size_t)40 << 20); /* volatile, or the compiler leaves it out */
    free(buffer);
    return buffer != NULL;
}

/* Say whether the product may begin; if not, there is no memory for it, and it must not end. */
static int cv_product_begins(void) {
    pthread_once(&cv_gate_known, cv_products_install);
    pthread_mutex_lock(&cv_gate);
    while (cv_forks)
        pthread_cond_wait(&cv_gate_moved, &cv_gate);
    int begins = cv_products < cv_products_most || cv_product_has_room();
    cv_products += begins;
    if (cv_products > cv_products_most)
        cv_products_most = cv_products;
    pthread_mutex_unlock(&cv_gate);
    return begins;
}
static void cv_product_ends(void) {
    pthread_mutex_lock(&cv_gate);
    if (!--cv_products)
        pthread_cond_broadcast(&cv_gate_moved);
    pthread_mutex_unlock(&cv_gate);
}
#else
static int cv_product_begins(void) {
    return 1;
}
static void cv_product_ends(void) {}
#endif

#endif
