// SPDX-License-Identifier: GPL-2.0-or-later
// kubernetes.mjs MANIFEST - holds a pod against the Kubernetes API, as two npm packages of the working folder have it that are made out
// of its OpenAPI documents: kubernetes-models has schemas, @kubernetes/client-node a table of each type's members, so that a member
// which nobody knows is noticed, too. Then some faults are planted, and each must be noticed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const packages = join(process.cwd(), "node_modules");
const tables = join(packages, "@kubernetes/client-node/dist/gen/models");
const yaml = createRequire(join(packages, "package.json"))("js-yaml");
const { Pod } = await import(pathToFileURL(join(packages, "kubernetes-models/v1/index.js")));

async function members(type) {
  const file = await import(pathToFileURL(join(tables, `${type}.js`)));
  return file[type].getAttributeTypeMap();
}

// What is wrong with a value of a type, as sentences.
async function unknown(type, value, path) {
  const list = /^Array<(.*)>$/.exec(type);
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (list || map) {
    if (typeof value !== "object" || Array.isArray(value) !== Boolean(list)) return [`${path}: no ${type}`];
    const all = await Promise.all(Object.keys(value).map((key) => unknown((list ?? map)[1], value[key], `${path}.${key}`)));
    return all.flat();
  }
  if (["string", "number", "boolean"].includes(type)) return typeof value === type ? [] : [`${path}: no ${type}`];
  if (!/^V\d/.test(type)) return [];
  const known = new Map((await members(type)).map((member) => [member.baseName, member.type]));
  const wrong = [];
  for (const key of Object.keys(value))
    wrong.push(...(known.has(key) ? await unknown(known.get(key), value[key], `${path}.${key}`) : [`${path}: ${type} has no ${key}`]));
  return wrong;
}

async function faults(pod) {
  const wrong = await unknown("V1Pod", pod, "pod");
  try {
    new Pod(pod).validate();
  } catch (error) {
    wrong.push(`schema: ${error.message}`);
  }
  return wrong;
}

const text = readFileSync(process.argv[2], "utf8");
const wrong = await faults(yaml.load(text));
for (const sentence of wrong) console.log(sentence);

const plants = {
  "a member that nobody knows": (pod) => (pod.spec.containers[0].volumeMount = []),
  "one that belongs elsewhere": (pod) => (pod.spec.containers[0].mountPropagation = "None"),
  "a text for a list": (pod) => (pod.spec.containers[0].command = "sh"),
  "a text for a truth": (pod) => (pod.spec.initContainers[0].securityContext.privileged = "yes"),
  "no name": (pod) => delete pod.spec.containers[0].name,
  "no containers": (pod) => delete pod.spec.containers,
};
for (const [what, plant] of Object.entries(plants)) {
  const pod = yaml.load(text);
  plant(pod);
  if ((await faults(pod)).length === 0) {
    console.log(`planted: ${what}: not noticed`);
    wrong.push(what);
  }
}
process.exit(wrong.length ? 1 : 0);
