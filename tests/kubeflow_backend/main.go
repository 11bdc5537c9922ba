// Reads a compiled pipeline with the libraries that the backend of Kubeflow Pipelines reads it with: protojson as in the
// API server and the driver, cel-go for conditions as in the driver, apimachinery for quantities and labels. The backend
// itself is no Go module to depend on: its tags have no `v`, and its parts replace each other by path.
//
//	kubeflow_backend DESCRIPTORS PIPELINE QUESTIONS
//
// DESCRIPTORS is a FileDescriptorSet of KFP's messages, PIPELINE the YAML of both documents, and QUESTIONS a JSON list of
// {"condition", "input"}: conditions with the ExecutorInput to evaluate each on. Prints {"problems", "answers"}.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/google/cel-go/cel"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

type object = map[string]any

type question struct {
	Condition string          `json:"condition"`
	Input     json.RawMessage `json:"input"`
}

type answer struct {
	Runs  bool   `json:"runs"`
	Error string `json:"error,omitempty"`
}

type backend struct {
	files    *protoregistry.Files
	problems []string
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(paths []string, out io.Writer) error {
	if len(paths) != 3 {
		return errors.New("usage: kubeflow_backend DESCRIPTORS PIPELINE QUESTIONS")
	}
	contents := make([][]byte, len(paths))
	for i, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		contents[i] = content
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(contents[0], set); err != nil {
		return err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return err
	}
	var questions []question
	if err := json.Unmarshal(contents[2], &questions); err != nil {
		return err
	}
	b := &backend{files: files, problems: []string{}}
	if err := b.read(contents[1]); err != nil {
		return err
	}
	answers := make([]answer, len(questions))
	for i, asked := range questions {
		runs, err := b.condition(asked)
		if err != nil {
			answers[i].Error = err.Error()
		}
		answers[i].Runs = runs
	}
	sort.Strings(b.problems)
	return json.NewEncoder(out).Encode(object{"problems": b.problems, "answers": answers})
}

// message makes an empty message of one of KFP's types.
func (b *backend) message(name string) (*dynamicpb.Message, error) {
	found, err := b.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	return dynamicpb.NewMessage(found.(protoreflect.MessageDescriptor)), nil
}

func (b *backend) parse(where, name string, value any) {
	text, err := json.Marshal(value)
	if err == nil {
		var m *dynamicpb.Message
		if m, err = b.message(name); err == nil {
			err = protojson.Unmarshal(text, m)
		}
	}
	b.note(where, err)
}

func (b *backend) note(where string, err error) {
	if err != nil {
		b.problems = append(b.problems, fmt.Sprintf("%s: %v", where, err))
	}
}

// read takes the documents apart as the API server does: what has a pipelineInfo is the pipeline spec.
func (b *backend) read(text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document object
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, isPipeline := document["pipelineInfo"]; isPipeline {
			b.pipeline(document)
		} else {
			b.platform(document)
		}
	}
}

func (b *backend) pipeline(document object) {
	b.parse("pipeline spec", "ml_pipelines.PipelineSpec", document)
	b.parse("deploymentSpec", "ml_pipelines.PipelineDeploymentConfig", document["deploymentSpec"])
	executors := in(document, "deploymentSpec", "executors")
	for label := range executors {
		resources := in(executors, label, "container", "resources")
		for name, value := range resources {
			if quantity, isText := value.(string); isText {
				_, err := resource.ParseQuantity(quantity)
				b.note(label+"."+name, err)
			}
		}
	}
}

func (b *backend) platform(document object) {
	b.parse("platform spec", "ml_pipelines.PlatformSpec", document)
	executors := in(document, "platforms", "kubernetes", "deploymentSpec", "executors")
	for label, config := range executors {
		b.parse(label, "kfp_kubernetes.KubernetesExecutorConfig", config)
		for _, labels := range []object{in(executors, label, "nodeSelector", "labels"), in(executors, label, "podMetadata", "labels")} {
			for key, value := range labels {
				for _, problem := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(fmt.Sprint(value))...) {
					b.note(label+" label "+key, errors.New(problem))
				}
			}
		}
	}
}

// condition decides as the driver does whether a task runs: CEL over the fields of its ExecutorInput.
func (b *backend) condition(asked question) (bool, error) {
	input, err := b.message("ml_pipelines.ExecutorInput")
	if err != nil {
		return false, err
	}
	if err := protojson.Unmarshal(asked.Input, input); err != nil {
		return false, err
	}
	env, err := cel.NewEnv(cel.DeclareContextProto(input.Descriptor()))
	if err != nil {
		return false, err
	}
	compiled, issues := env.Compile(asked.Condition)
	if issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := env.Program(compiled)
	if err != nil {
		return false, err
	}
	variables, err := cel.ContextProtoVars(input)
	if err != nil {
		return false, err
	}
	result, _, err := program.Eval(variables)
	if err != nil {
		return false, err
	}
	runs, isBool := result.Value().(bool)
	if !isBool {
		return false, fmt.Errorf("the condition is no bool but %v", result.Value())
	}
	return runs, nil
}

func in(value object, path ...string) object {
	for _, name := range path {
		next, _ := value[name].(object)
		value = next
	}
	return value
}
