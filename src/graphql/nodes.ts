/** The interfaces `Node` and `Error`, and looking up anything by its id. */
import type { Builder } from './builder.ts';
import { badInput } from './coded-error.ts';
import type { GraphqlContext } from './context.ts';
import { decodeGlobalId } from './global-id.ts';
import type { NodeShape, Refs } from './refs.ts';

const MOST_IDS = 100;

/** What a type's file knows: how to find one object by its row id. */
export type NodeFinder = (
  id: string,
  context: GraphqlContext,
) => Promise<NodeShape | null> | NodeShape | null;

export function addNodes(builder: Builder, refs: Refs, finders: Readonly<Record<string, NodeFinder>>): void {
  builder.interfaceType(refs.Node, {
    description: 'An object with an id of its own, which `node` finds again.',
    resolveType: (value) => typeNames.get(value) ?? null,
    fields: (t) => ({
      id: t.id({
        description: 'Opaque id, the same for as long as it exists.',
        resolve: () => {
          throw new Error('each type has its own id');
        },
      }),
    }),
  });
  builder.interfaceType(refs.Error, {
    description: 'What every expected failure says; ask for it with `... on Error` to be ready for new ones.',
    fields: (t) => ({
      code: t.exposeString('code', { description: 'Stable, upper case: what to tell failures apart by.' }),
      message: t.exposeString('message', { description: 'For a person, in English; may change.' }),
    }),
  });
  // Types travel beside the objects: rows are plain and shared, so nothing is written on them.
  const typeNames = new WeakMap<object, string>();
  const find = async (globalId: string, context: GraphqlContext): Promise<NodeShape | null> => {
    const decoded = decodeGlobalId(globalId);
    const finder = decoded && Object.hasOwn(finders, decoded.type) ? finders[decoded.type] : undefined;
    if (!decoded || !finder) return null;
    const found = await finder(decoded.id, context);
    if (found) typeNames.set(found, decoded.type);
    return found;
  };
  builder.queryFields((t) => ({
    node: t.field({
      type: refs.Node,
      nullable: true,
      description: 'Any object by its id; null when there is none.',
      args: { id: t.arg.id({ required: true, description: 'Id of the object.' }) },
      resolve: (_root, { id }, context) => find(id, context),
    }),
    nodes: t.field({
      type: [refs.Node],
      nullable: { list: false, items: true },
      description: `Several objects by their ids, in that order, null where there is none; at most ${MOST_IDS}.`,
      args: { ids: t.arg.idList({ required: true, description: 'Ids of the objects.' }) },
      resolve: (_root, { ids }, context) => {
        if (ids.length > MOST_IDS) throw badInput(`nodes takes at most ${MOST_IDS} ids`);
        return Promise.all(ids.map((id) => find(id, context)));
      },
    }),
  }));
}
