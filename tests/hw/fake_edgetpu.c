/* A TensorFlow Lite external delegate that stands in for libedgetpu and misbehaves on demand.
 *
 * It claims every int8 FULLY_CONNECTED node and computes it bit for bit as XNNPACK does (float requantization,
 * ties to even). The first word of the file named by FAKE_EDGETPU says what it does, read anew each time:
 *   ok | refuse | silent | prepare | invoke | hang-create | hang-invoke | crash | crash-create | corrupt | unplug | idle
 *
 * Declared here is only what a delegate touches of the runtime's C interface (tensorflow/lite/core/c/common.h);
 * the layouts have been stable from TensorFlow 2.5 to LiteRT 2.3, and the golden vectors of the tests prove them.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, ERROR = 1, INT8 = 9, ARENA = 2, DYNAMIC = 4, FULLY_CONNECTED = 9, RELU = 1 };

typedef struct { int size; int data[]; } IntArray;
typedef struct { int size; float data[]; } FloatArray;
typedef struct { FloatArray *scale; IntArray *zero_point; int32_t dimension; } Affine;

struct Delegate;
typedef struct {
  int type;
  union { void *raw; int8_t *i8; int32_t *i32; } data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  struct Delegate *delegate;
  int buffer_handle;
  bool stale, variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_data;
  int custom_size;
  struct Delegate *delegate;
  bool side_effect;
} Node;

struct Context;
typedef struct {
  void *(*init)(struct Context *, const char *, size_t);
  void (*free)(struct Context *, void *);
  int (*prepare)(struct Context *, Node *);
  int (*invoke)(struct Context *, Node *);
  const char *(*profiling)(const struct Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *external, *async;
  uint64_t inplace;
} Registration;

typedef struct Delegate {
  void *data;
  int (*prepare)(struct Context *, struct Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *opaque;
} Delegate;

typedef struct Context {
  size_t tensors_size;
  int (*execution_plan)(struct Context *, IntArray **);
  Tensor *tensors;
  void *impl, *resize;
  void (*report)(struct Context *, const char *, ...);
  void *add_tensors;
  int (*node)(struct Context *, int, Node **, Registration **);
  int (*replace)(struct Context *, Registration, const IntArray *, Delegate *);
} Context;

typedef struct { Delegate *delegate; IntArray *nodes, *inputs, *outputs; } Part;
typedef struct { int input, weight, bias, output, relu; } Layer;
typedef struct { int layers; Layer layer[]; } Kernel;

static bool told(const char *word) {
  char found[32] = "ok";
  const char *path = getenv("FAKE_EDGETPU");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (file) {
    if (fscanf(file, "%31s", found) != 1) strcpy(found, "ok");
    fclose(file);
  }
  return strcmp(found, word) == 0;
}

static void crash(void) { *(volatile int *)0 = 1; }

static void hang(void) {
  for (;;) pause();
}

static void *init(Context *context, const char *buffer, size_t length) {
  const IntArray *nodes = ((const Part *)buffer)->nodes;
  Kernel *kernel = calloc(1, sizeof(Kernel) + sizeof(Layer) * nodes->size);
  (void)length;
  kernel->layers = nodes->size;
  for (int i = 0; i < nodes->size; i++) {
    Node *node;
    Registration *registration;
    context->node(context, nodes->data[i], &node, &registration);
    int bias = node->inputs->size > 2 ? node->inputs->data[2] : -1;
    kernel->layer[i] = (Layer){node->inputs->data[0], node->inputs->data[1], bias, node->outputs->data[0],
                               *(int *)node->builtin_data == RELU};
  }
  return kernel;
}

static void release(Context *context, void *kernel) {
  (void)context;
  free(kernel);
}

static int prepare(Context *context, Node *node) {
  const Kernel *kernel = node->user_data;
  if (told("prepare")) {
    context->report(context, "fake: Failed to prepare for TPU");
    return ERROR;
  }
  for (int i = 0; i < kernel->layers - 1; i++) { /* the runtime plans no memory between nodes that are ours */
    Tensor *inner = &context->tensors[kernel->layer[i].output];
    if (inner->allocation_type == ARENA && !inner->data.raw) {
      inner->allocation_type = DYNAMIC;
      inner->data.raw = calloc(1, inner->bytes);
    }
  }
  return OK;
}

static void run(const Tensor *tensors, const Layer *layer) {
  const Tensor *x = &tensors[layer->input], *w = &tensors[layer->weight], *y = &tensors[layer->output];
  const int32_t *bias = layer->bias >= 0 ? tensors[layer->bias].data.i32 : NULL;
  const Affine *affine = w->quantization.params;
  int columns = w->dims->data[1];
  for (int row = 0; row < w->dims->data[0]; row++) {
    int32_t sum = bias ? bias[row] : 0;
    for (int i = 0; i < columns; i++)
      sum += (x->data.i8[i] - x->params.zero_point) * (int32_t)w->data.i8[row * columns + i];
    float scale = affine && affine->scale->size > 1 ? affine->scale->data[row] : w->params.scale;
    int value = (int)lrintf((float)sum * (x->params.scale * scale / y->params.scale)) + y->params.zero_point;
    int least = layer->relu ? y->params.zero_point : -128;
    y->data.i8[row] = (int8_t)(value < least ? least : value > 127 ? 127 : value);
  }
}

static int invoke(Context *context, Node *node) {
  const Kernel *kernel = node->user_data;
  if (told("hang-invoke")) hang();
  if (told("crash")) crash();
  if (told("invoke") || told("unplug")) {
    context->report(context, "fake: USB transfer error 5 [LibUsbDataOut]");
    return ERROR;
  }
  for (int i = 0; i < kernel->layers; i++) run(context->tensors, &kernel->layer[i]);
  if (told("corrupt")) context->tensors[kernel->layer[kernel->layers - 1].output].data.i8[0] ^= 0x40;
  return OK;
}

static int claim(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (told("idle")) return OK; /* as the Edge TPU does with a model that is not compiled for it */
  if (context->execution_plan(context, &plan) != OK) return ERROR;
  IntArray *ours = malloc(sizeof(IntArray) + sizeof(int) * plan->size);
  ours->size = 0;
  for (int i = 0; i < plan->size; i++) {
    Node *node;
    Registration *registration;
    context->node(context, plan->data[i], &node, &registration);
    if (registration->builtin_code == FULLY_CONNECTED && context->tensors[node->inputs->data[0]].type == INT8)
      ours->data[ours->size++] = plan->data[i];
  }
  Registration kernel = {.init = init, .free = release, .prepare = prepare, .invoke = invoke,
                         .custom_name = "FakeEdgeTpu", .version = 1};
  int status = context->replace(context, kernel, ours, delegate);
  free(ours);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t options, void (*report)(const char *)) {
  (void)keys, (void)values, (void)options;
  if (told("hang-create")) hang();
  if (told("crash-create")) crash();
  if (told("silent")) return NULL;
  if (told("refuse") || told("unplug")) {
    report("fake: no device");
    return NULL;
  }
  Delegate *delegate = calloc(1, sizeof(Delegate));
  delegate->prepare = claim;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
