/* Runs a SavedModel in TensorFlow's C runtime, without Python.
 *
 *   run_saved_model FOLDER OUTPUT_OP:INDEX... < inputs
 *
 * An input is a line "OP TYPE RANK SIZE..." (TYPE s = string, f = float32)
 * followed by one line for each value. Prints one line for each output value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MOST 16
#define LINE 65536

static char line[LINE];

static void check(int fine, const char* what) {
  if (fine) return;
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static char* read_line(void) {
  if (!fgets(line, LINE, stdin)) return NULL;
  line[strcspn(line, "\n")] = 0;
  return line;
}

static TF_Output find(TF_Graph* graph, const char* name, int index) {
  TF_Output found = {TF_GraphOperationByName(graph, name), index};
  check(found.oper != NULL, name);
  return found;
}

static TF_Tensor* read_tensor(char type, const int64_t* sizes, int rank) {
  size_t count = 1;
  for (int axis = 0; axis < rank; ++axis) count *= sizes[axis];
  size_t bytes = count * (type == 's' ? sizeof(TF_TString) : sizeof(float));
  TF_Tensor* tensor = TF_AllocateTensor(type == 's' ? TF_STRING : TF_FLOAT,
                                        sizes, rank, bytes);
  for (size_t n = 0; n < count; ++n) {
    check(read_line() != NULL, "too few values");
    if (type == 's') {
      TF_TString* value = (TF_TString*)TF_TensorData(tensor) + n;
      TF_TString_Init(value);
      TF_TString_Copy(value, line, strlen(line));
    } else {
      ((float*)TF_TensorData(tensor))[n] = strtof(line, NULL);
    }
  }
  return tensor;
}

static void print_tensor(const TF_Tensor* tensor) {
  int64_t count = TF_TensorElementCount(tensor);
  for (int64_t n = 0; n < count; ++n) {
    if (TF_TensorType(tensor) == TF_STRING) {
      const TF_TString* value = (TF_TString*)TF_TensorData(tensor) + n;
      printf("%.*s\n", (int)TF_TString_GetSize(value),
             TF_TString_GetDataPointer(value));
    } else {
      printf("%.9g\n", ((float*)TF_TensorData(tensor))[n]);
    }
  }
}

int main(int argc, char** argv) {
  check(argc > 2 && argc - 2 <= MOST, "FOLDER OUTPUT_OP:INDEX...");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(
      TF_NewSessionOptions(), NULL, argv[1], tags, 1, graph, NULL, status);
  check(TF_GetCode(status) == TF_OK, TF_Message(status));

  TF_Output inputs[MOST];
  TF_Tensor* values[MOST];
  int num_inputs = 0;
  while (num_inputs < MOST && read_line()) {
    int64_t sizes[8];
    char* name = strtok(line, " ");
    inputs[num_inputs] = find(graph, name, 0);
    char type = strtok(NULL, " ")[0];
    int rank = atoi(strtok(NULL, " "));
    for (int axis = 0; axis < rank; ++axis) {
      sizes[axis] = atoll(strtok(NULL, " "));
    }
    values[num_inputs++] = read_tensor(type, sizes, rank);
  }

  TF_Output outputs[MOST];
  TF_Tensor* results[MOST];
  int num_outputs = argc - 2;
  for (int n = 0; n < num_outputs; ++n) {
    char* colon = strrchr(argv[n + 2], ':');
    check(colon != NULL, argv[n + 2]);
    *colon = 0;
    outputs[n] = find(graph, argv[n + 2], atoi(colon + 1));
  }
  TF_SessionRun(session, NULL, inputs, values, num_inputs, outputs, results,
                num_outputs, NULL, 0, NULL, status);
  check(TF_GetCode(status) == TF_OK, TF_Message(status));
  for (int n = 0; n < num_outputs; ++n) print_tensor(results[n]);
  return 0;
}
