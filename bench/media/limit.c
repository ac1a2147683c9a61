/* What the kernel and AES-256-GCM alone cost: every 1/RATE second one packet is encrypted for each port and sent.
   limit HOST RATE SECONDS SIZE PORT...; RATE 0 sends as fast as it can. Prints packets, CPU and wall nanoseconds. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* OpenSSL's interface, declared here so that its headers need not be installed. */
typedef struct cipher_context EVP_CIPHER_CTX;
typedef struct cipher EVP_CIPHER;
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
const EVP_CIPHER *EVP_aes_256_gcm(void);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *, const unsigned char *, const unsigned char *);
int EVP_EncryptUpdate(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
int EVP_EncryptFinal_ex(EVP_CIPHER_CTX *, unsigned char *, int *);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *, int, int, void *);
enum { GET_TAG = 16, TAG = 16, HEADER = 20, LONGEST = 2048 };

static long long nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int count, char **words) {
    if (count < 6) return 2;
    double rate = atof(words[2]);
    long long length = (long long)(atof(words[3]) * 1e9), packets = 0;
    int size = atoi(words[4]), ports = count - 5, made;
    if (size > LONGEST - TAG || size <= HEADER) return 2;
    struct sockaddr_in *to = calloc((size_t)ports, sizeof *to);
    EVP_CIPHER_CTX **contexts = calloc((size_t)ports, sizeof *contexts);
    unsigned char key[32] = {7}, nonce[12] = {0}, clear[LONGEST] = {0}, out[LONGEST];
    for (int n = 0; n < ports; n++) {
        to[n].sin_family = AF_INET;
        to[n].sin_port = htons((unsigned short)atoi(words[5 + n]));
        inet_pton(AF_INET, words[1], &to[n].sin_addr);
        contexts[n] = EVP_CIPHER_CTX_new();
        EVP_EncryptInit_ex(contexts[n], EVP_aes_256_gcm(), NULL, key, nonce);
    }
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    long long began = nanoseconds(CLOCK_MONOTONIC), cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), due = began, now;
    while ((now = nanoseconds(CLOCK_MONOTONIC)) - began < length) {
        if (rate > 0) {
            due += (long long)(1e9 / rate);
            struct timespec until = {due / 1000000000LL, due % 1000000000LL};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        for (int n = 0; n < ports; n++) {
            memcpy(nonce, &packets, sizeof packets);
            memcpy(out, clear, HEADER);
            EVP_EncryptInit_ex(contexts[n], NULL, NULL, NULL, nonce);
            EVP_EncryptUpdate(contexts[n], NULL, &made, out, HEADER);
            EVP_EncryptUpdate(contexts[n], out + HEADER, &made, clear + HEADER, size - HEADER);
            EVP_EncryptFinal_ex(contexts[n], out + HEADER + made, &made);
            EVP_CIPHER_CTX_ctrl(contexts[n], GET_TAG, TAG, out + size);
            sendto(sender, out, (size_t)(size + TAG), 0, (struct sockaddr *)&to[n], sizeof to[n]);
            packets++;
        }
    }
    printf("%lld %lld %lld\n", packets, nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, now - began);
    return 0;
}
