// models.js - writes the peers' model files into build/bench/.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mobileNetV2, weightsAs } from './network.js';
import { onnxFloat, onnxInteger } from './onnx.js';
import { tfliteFloat, tfliteInteger } from './tflite.js';

const folder = new URL('../../../build/bench/', import.meta.url);

export function writeModels() {
  const flatbuffers = createRequire(fileURLToPath(folder))('flatbuffers');
  // TensorFlow.js has no file of its own here: the weights, in its order, one layer after the other.
  const tensors = mobileNetV2().flatMap((layer) => [weightsAs(layer, layer.kind === 'full' ? 'hwio' : 'hwoi'), layer.bias]);
  const files = {
    'mobilenetv2-f32.onnx': onnxFloat(),
    'mobilenetv2-int8.onnx': onnxInteger(),
    'mobilenetv2-tfjs.bin': Buffer.concat(tensors.map(({ buffer }) => new Uint8Array(buffer))),
    'mobilenetv2-f32.tflite': tfliteFloat(flatbuffers),
    'mobilenetv2-int8.tflite': tfliteInteger(flatbuffers),
  };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(new URL(name, folder), bytes);
}
