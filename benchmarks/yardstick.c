/* The yardstick: what libgearman does with the same work.
 *
 *     yardstick MODE PORT FUNCTION COUNT [BYTES]
 */
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 1000

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "yardstick: %s\n", what);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(long count, double seconds, double *times)
{
    printf("{\"count\": %ld, \"seconds\": %f", count, seconds);
    if (times) {
        qsort(times, count, sizeof *times, by_size);
        printf(", \"p50_us\": %f, \"p99_us\": %f", times[count / 2] * 1e6,
               times[(long)(count * 0.99)] * 1e6);
    }
    printf("}\n");
}

static gearman_return_t send_back(gearman_job_st *job, void *context)
{
    (void)context;
    return gearman_job_send_complete(job, gearman_job_workload(job),
                                     gearman_job_workload_size(job));
}

static double first_job;

static gearman_return_t take(gearman_job_st *job, void *context)
{
    (void)job;
    (void)context;
    if (first_job == 0)
        first_job = now();
    return GEARMAN_SUCCESS;
}

static gearman_worker_st *worker_on(int port, const char *function, gearman_function_fn callback)
{
    gearman_worker_st *worker = gearman_worker_create(NULL);
    gearman_worker_add_server(worker, "127.0.0.1", port);
    gearman_function_t run = gearman_function_create(callback);
    if (gearman_worker_define_function(worker, function, strlen(function), run, 0, NULL))
        die("cannot register");
    return worker;
}


static void fg(gearman_client_st *client, const char *function, long count, char *data, size_t size)
{
    double *times = malloc(count * sizeof *times), began = 0;
    for (long i = -100; i < count; i++) {
        gearman_return_t code;
        size_t got;
        double before = now();
        if (i == 0)
            began = before;
        void *result = gearman_client_do(client, function, NULL, data, size, &got, &code);
        if (code != GEARMAN_SUCCESS || got != size)
            die("wrong result");
        free(result);
        if (i >= 0)
            times[i] = now() - before;
    }
    report(count, now() - began, times);
}

static void bg(gearman_client_st *client, const char *function, long count, char *data, size_t size)
{
    double *times = malloc(count * sizeof *times), began = now();
    char handle[GEARMAN_JOB_HANDLE_SIZE];
    for (long i = 0; i < count; i++) {
        double before = now();
        if (gearman_client_do_background(client, function, NULL, data, size, handle))
            die("not accepted");
        times[i] = now() - before;
    }
    report(count, now() - began, times);
}

static void bulk(gearman_client_st *client, const char *function, long count, char *data, size_t size)
{
    double began = now();
    for (long i = 0; i < count; i += BATCH) {
        gearman_return_t code;
        for (long j = 0; j < BATCH; j++)
            gearman_client_add_task_background(client, NULL, NULL, function, NULL, data, size, &code);
        if (gearman_client_run_tasks(client))
            die("not accepted");
        gearman_client_task_free_all(client);
    }
    report(count, now() - began, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        die("MODE PORT FUNCTION COUNT [BYTES]");
    const char *mode = argv[1], *function = argv[3];
    int port = atoi(argv[2]);
    long count = atol(argv[4]);
    size_t size = argc > 5 ? atol(argv[5]) : 100;
    char *data = malloc(size);
    memset(data, 'x', size);

    if (!strcmp(mode, "echo")) {
        gearman_worker_st *worker = worker_on(port, function, send_back);
        while (gearman_worker_work(worker) == GEARMAN_SUCCESS)
            ;
        return 0;
    }
    if (!strcmp(mode, "drain")) {
        gearman_worker_st *worker = worker_on(port, function, take);
        for (long i = 0; i < count; i++)
            if (gearman_worker_work(worker))
                die("no job");
        report(count, now() - first_job, NULL);
        return 0;
    }
    gearman_client_st *client = gearman_client_create(NULL);
    gearman_client_add_server(client, "127.0.0.1", port);
    if (!strcmp(mode, "fg"))
        fg(client, function, count, data, size);
    else if (!strcmp(mode, "bg"))
        bg(client, function, count, data, size);
    else if (!strcmp(mode, "bulk"))
        bulk(client, function, count, data, size);
    else
        die("no such mode");
    return 0;
}
