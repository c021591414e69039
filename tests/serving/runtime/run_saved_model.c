/* Runs a SavedModel in TensorFlow's C runtime, without Python.
 *
 *   run_saved_model FOLDER < requests
 *
 * A request is a line "NAME OUTPUTS INPUTS", how many of each, followed by a
 * line "OP:INDEX" for each output, then by the inputs. An input is a line
 * "OP:INDEX TYPE RANK SIZE..." (TYPE is TensorFlow's number) followed by one
 * line for each value; strings are in hex. Prints one line for each output
 * value in the same way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MOST 64
#define LINE 65536

static char line[LINE];
static char request[64] = "loading";

static void check(int fine, const char* what) {
  if (fine) return;
  fprintf(stderr, "%s: %s\n", request, what);
  exit(1);
}

static char* read_line(void) {
  if (!fgets(line, LINE, stdin)) return NULL;
  line[strcspn(line, "\n")] = 0;
  return line;
}

/* NAME is "OP:INDEX". */
static TF_Output find(TF_Graph* graph, char* name) {
  char* colon = strrchr(name, ':');
  check(colon != NULL, name);
  *colon = 0;
  TF_Output found = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  check(found.oper != NULL, name);
  return found;
}

static void read_string(TF_TString* value) {
  size_t size = strlen(line) / 2;
  for (size_t n = 0; n < size; ++n) {
    unsigned byte;
    check(sscanf(line + 2 * n, "%2x", &byte) == 1, line);
    line[n] = (char)byte; /* Behind what is still to be read. */
  }
  TF_TString_Init(value);
  TF_TString_Copy(value, line, size);
}

static void print_string(const TF_TString* value) {
  const char* bytes = TF_TString_GetDataPointer(value);
  for (size_t n = 0; n < TF_TString_GetSize(value); ++n) {
    printf("%02x", (unsigned char)bytes[n]);
  }
  printf("\n");
}

static TF_Tensor* read_tensor(TF_DataType type, const int64_t* sizes,
                              int rank) {
  size_t size = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  size_t count = 1;
  for (int axis = 0; axis < rank; ++axis) count *= sizes[axis];
  TF_Tensor* tensor = TF_AllocateTensor(type, sizes, rank, count * size);
  void* data = TF_TensorData(tensor);
  for (size_t n = 0; n < count; ++n) {
    check(read_line() != NULL, "too few values");
    switch (type) {
      case TF_STRING: read_string((TF_TString*)data + n); break;
      case TF_FLOAT: ((float*)data)[n] = strtof(line, NULL); break;
      case TF_INT32: ((int32_t*)data)[n] = atoi(line); break;
      case TF_INT64: ((int64_t*)data)[n] = atoll(line); break;
      case TF_BOOL: ((unsigned char*)data)[n] = atoi(line) != 0; break;
      default: check(0, "an input of a type that is not read");
    }
  }
  return tensor;
}

static void print_tensor(const TF_Tensor* tensor) {
  const void* data = TF_TensorData(tensor);
  int64_t count = TF_TensorElementCount(tensor);
  for (int64_t n = 0; n < count; ++n) {
    switch (TF_TensorType(tensor)) {
      case TF_STRING: print_string((const TF_TString*)data + n); break;
      case TF_FLOAT: printf("%.9g\n", ((const float*)data)[n]); break;
      case TF_INT32: printf("%" PRId32 "\n", ((const int32_t*)data)[n]); break;
      case TF_INT64: printf("%" PRId64 "\n", ((const int64_t*)data)[n]); break;
      case TF_BOOL: printf("%d\n", ((const unsigned char*)data)[n]); break;
      default: check(0, "an output of a type that is not printed");
    }
  }
}

/* Of the line that was read last. */
static TF_Tensor* read_input(TF_Graph* graph, TF_Output* input) {
  int64_t sizes[8];
  *input = find(graph, strtok(line, " "));
  TF_DataType type = (TF_DataType)atoi(strtok(NULL, " "));
  int rank = atoi(strtok(NULL, " "));
  for (int axis = 0; axis < rank; ++axis) {
    sizes[axis] = atoll(strtok(NULL, " "));
  }
  return read_tensor(type, sizes, rank);
}

int main(int argc, char** argv) {
  check(argc == 2, "FOLDER");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(
      TF_NewSessionOptions(), NULL, argv[1], tags, 1, graph, NULL, status);
  check(TF_GetCode(status) == TF_OK, TF_Message(status));

  while (read_line()) {
    TF_Output inputs[MOST], outputs[MOST];
    TF_Tensor *values[MOST], *results[MOST];
    int num_outputs, num_inputs;
    check(sscanf(line, "%63s %d %d", request, &num_outputs, &num_inputs) == 3 &&
              num_outputs <= MOST && num_inputs <= MOST,
          line);
    for (int n = 0; n < num_outputs; ++n) {
      check(read_line() != NULL, "too few outputs");
      outputs[n] = find(graph, line);
    }
    for (int n = 0; n < num_inputs; ++n) {
      check(read_line() != NULL, "too few inputs");
      values[n] = read_input(graph, &inputs[n]);
    }
    TF_SessionRun(session, NULL, inputs, values, num_inputs, outputs, results,
                  num_outputs, NULL, 0, NULL, status);
    check(TF_GetCode(status) == TF_OK, TF_Message(status));
    for (int n = 0; n < num_outputs; ++n) print_tensor(results[n]);
  }
  return 0;
}
