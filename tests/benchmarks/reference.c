/* The same pair in C: what the kernel and the machine cost, without Python.

   reference server                     print the port, then answer every datagram
   reference trips PORT COUNT           print the median of COUNT round trips, in seconds
   reference answers PORT WINDOW TIME   keep WINDOW questions under way for TIME seconds; print answers per second */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OWN "Your data was " /* how an answer begins */

enum { SIZE = 32, LARGEST = 65535 };

static char question[SIZE], buffer[LARGEST];

static void require(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct sockaddr_in at(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int udp_socket(void)
{
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    require(sock >= 0, "socket");
    return sock;
}

static int connected(int port, int milliseconds)
{
    struct sockaddr_in server = at(port);
    int sock = udp_socket();
    struct timeval patience = {milliseconds / 1000, milliseconds % 1000 * 1000};
    require(!setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "SO_RCVTIMEO");
    require(!connect(sock, (struct sockaddr *)&server, sizeof server), "connect");
    return sock;
}

static void serve(void)
{
    struct sockaddr_in own = at(0), peer;
    socklen_t length = sizeof own;
    int sock = udp_socket();
    require(!bind(sock, (struct sockaddr *)&own, sizeof own), "bind");
    require(!getsockname(sock, (struct sockaddr *)&own, &length), "getsockname");
    printf("%d\n", ntohs(own.sin_port));
    fflush(stdout);
    for (;;) {
        char answer[64];
        length = sizeof peer;
        ssize_t size = recvfrom(sock, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length);
        require(size >= 0, "recvfrom");
        if (size >= (ssize_t)strlen(OWN) && !memcmp(buffer, OWN, strlen(OWN)))
            continue; /* what looks like an answer gets none */
        int text = snprintf(answer, sizeof answer, OWN "%zd bytes long", size);
        require(sendto(sock, answer, text, 0, (struct sockaddr *)&peer, length) == text, "sendto");
    }
}

static int earlier(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static int trips(int port, int count)
{
    int sock = connected(port, 5000);
    double *times = malloc(count * sizeof *times);
    require(times != NULL, "malloc");
    for (int i = 0; i < count; i++) {
        double sent = now();
        require(send(sock, question, SIZE, 0) == SIZE, "send");
        require(recv(sock, buffer, sizeof buffer, 0) >= 0, "recv");
        times[i] = now() - sent;
    }
    qsort(times, count, sizeof *times, earlier);
    printf("%.9f\n", times[count / 2]);
    return 0;
}

static int answers(int port, int window, double time)
{
    int sock = connected(port, 100);
    long count = 0, missing = window; /* questions that may be sent now */
    double start = now(), end = start + time;
    while (now() < end) {
        for (; missing > 0; missing--)
            require(send(sock, question, SIZE, 0) == SIZE, "send");
        if (recv(sock, buffer, sizeof buffer, 0) >= 0) {
            count++;
            missing++;
        } else { /* lost in a full queue: begin anew */
            require(errno == EAGAIN, "recv");
            missing = window;
        }
    }
    printf("%.1f\n", count / (now() - start));
    return 0;
}

int main(int count, char **words)
{
    if (count == 2 && !strcmp(words[1], "server"))
        serve();
    if (count == 4 && !strcmp(words[1], "trips"))
        return trips(atoi(words[2]), atoi(words[3]));
    if (count == 5 && !strcmp(words[1], "answers"))
        return answers(atoi(words[2]), atoi(words[3]), atof(words[4]));
    return 2;
}
