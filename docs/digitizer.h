/* Frames of the streaming digitizer, for the microcontroller. What they mean is in DIGITIZER.md.
 * C99, header only, no allocation, any byte order.
 *
 *     static uint8_t wire[DIGITIZER_LONGEST(256, 3)];
 *     digitizer_frame frame = {.axes = 3, .rate_mhz = 25600000, .scale_nmps2 = 4788403, .full_scale = 32767};
 *     for (;;) {
 *         wait_for_samples(counts, 256);                          // 256 x 3, sample by sample
 *         usb_write(wire, digitizer_encode(wire, &frame, counts, 256));
 *         frame.seq += 256;                                       // and more, where samples were dropped
 *         frame.flags = 0;
 *     }
 */
#ifndef DIGITIZER_H
#define DIGITIZER_H

#include <stddef.h>
#include <stdint.h>

#define DIGITIZER_VERSION 1
#define DIGITIZER_OVERRUN 0x0001 /* samples were dropped before this frame; seq has them counted */
#define DIGITIZER_CLIP 0x0002    /* the front end was overdriven during this frame */

/* Bytes that a frame can take on the wire: 20 header, samples, 4 CRC-32, stuffing, the final zero. */
#define DIGITIZER_BODY(samples, axes) (24 + 2 * (samples) * (axes))
#define DIGITIZER_LONGEST(samples, axes) \
    (DIGITIZER_BODY(samples, axes) + DIGITIZER_BODY(samples, axes) / 254 + 2)

typedef struct {
    uint32_t seq;         /* number of the first sample since start, modulo 2^32 */
    uint32_t rate_mhz;    /* nominal sample rate, mHz */
    uint32_t scale_nmps2; /* acceleration of one count, nm/s^2 */
    uint16_t full_scale;  /* largest count */
    uint16_t flags;       /* DIGITIZER_OVERRUN | DIGITIZER_CLIP */
    uint8_t axes;         /* 1 to 3 */
} digitizer_frame;

typedef struct {
    uint8_t *out; /* where the next byte goes */
    uint8_t *run; /* the length byte of the current run */
    uint32_t crc;
} digitizer_writer;

static inline void digitizer_stuff(digitizer_writer *w, uint8_t byte) {
    if (byte != 0) {
        *w->out++ = byte;
        if (w->out - w->run < 255)
            return;
    }
    *w->run = (uint8_t)(w->out - w->run);
    w->run = w->out++;
}

static inline void digitizer_put(digitizer_writer *w, uint32_t value, int bytes) {
    for (; bytes > 0; bytes--, value >>= 8) {
        w->crc ^= value & 0xff;
        for (int bit = 0; bit < 8; bit++)
            w->crc = w->crc & 1 ? w->crc >> 1 ^ 0xedb88320u : w->crc >> 1;
        digitizer_stuff(w, (uint8_t)value);
    }
}

/* Write the frame of `samples` x `axes` counts (1 to 512 samples) to `wire`; returns its length. */
static inline size_t digitizer_encode(uint8_t *wire, const digitizer_frame *frame, const int16_t *counts,
                                      uint16_t samples) {
    digitizer_writer w = {wire + 1, wire, 0xffffffffu};
    digitizer_put(&w, DIGITIZER_VERSION, 1);
    digitizer_put(&w, frame->axes, 1);
    digitizer_put(&w, samples, 2);
    digitizer_put(&w, frame->seq, 4);
    digitizer_put(&w, frame->rate_mhz, 4);
    digitizer_put(&w, frame->scale_nmps2, 4);
    digitizer_put(&w, frame->full_scale, 2);
    digitizer_put(&w, frame->flags, 2);
    for (uint32_t i = 0; i < (uint32_t)samples * frame->axes; i++)
        digitizer_put(&w, (uint16_t)counts[i], 2);
    uint32_t crc = ~w.crc;
    for (int i = 0; i < 4; i++, crc >>= 8)
        digitizer_stuff(&w, (uint8_t)crc);
    *w.run = (uint8_t)(w.out - w.run);
    *w.out++ = 0;
    return (size_t)(w.out - wire);
}

#endif
