/** Node classes as GET /object_info shows them. */
import type { Inputs, NodeClass, NodeWorld } from './node-class.ts';

async function shownInputs(inputs: Inputs, world: NodeWorld): Promise<Record<string, unknown>> {
  const shown: Record<string, unknown> = {};
  for (const [name, [type, config]] of Object.entries(inputs)) {
    const resolved = typeof type === 'function' ? await type(world) : type;
    shown[name] = config === undefined ? [resolved] : [resolved, config];
  }
  return shown;
}

export async function describeNode(node: NodeClass, world: NodeWorld): Promise<Record<string, unknown>> {
  const input: Record<string, unknown> = { required: await shownInputs(node.required, world) };
  const order: Record<string, string[]> = { required: Object.keys(node.required) };
  if (node.optional) {
    input.optional = await shownInputs(node.optional, world);
    order.optional = Object.keys(node.optional);
  }
  if (node.hidden) {
    input.hidden = node.hidden;
    order.hidden = Object.keys(node.hidden);
  }
  return {
    input,
    input_order: order,
    output: node.outputs,
    output_is_list: node.outputs.map(() => false),
    output_name: node.outputNames ?? node.outputs,
    name: node.name,
    display_name: node.displayName ?? node.name,
    description: node.description ?? '',
    python_module: node.pythonModule ?? 'nodes',
    category: node.category,
    output_node: node.isOutput ?? false,
    ...(node.outputTooltips && { output_tooltips: node.outputTooltips }),
  };
}

export async function objectInfo(
  classes: ReadonlyMap<string, NodeClass>,
  world: NodeWorld,
): Promise<Record<string, unknown>> {
  const info: Record<string, unknown> = {};
  for (const [name, node] of classes) info[name] = await describeNode(node, world);
  return info;
}
