/**
 * What one operation may ask: its depth, its aliases, and how many objects its lists could multiply to. A validation
 * rule, so that it holds over every transport and before anything runs. Introspection is exempt: it reads no data.
 */
import {
  type ASTVisitor,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';
import { codedError } from './coded-error.ts';

export const MAX_TOKENS = 2000;
const MAX_DEPTH = 12;
const MAX_ALIASES = 30;
const MAX_COST = 25_000;
/** What a list is taken to hold when its size is a variable, and when none is given. */
const LARGEST_PAGE = 100;
const DEFAULT_PAGE = 20;
/** What takes no size, or need not be given one. */
const LISTS = new Set(['jobs', 'instances', 'byInstance', 'byWorkflow', 'errors']);
/** Each of these reads thousands of rows and answers with as many, whatever is selected of it. */
const FIGURES = new Set(['metrics', 'metricRows', 'metricSeries', 'usage']);
const COST_OF_FIGURES = 3000;

interface Weight {
  readonly depth: number;
  readonly aliases: number;
  /** Fields resolved if every list were full. */
  readonly cost: number;
}

const NOTHING: Weight = { depth: 0, aliases: 0, cost: 0 };

export function limitsRule(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      const weight = new Weigher(context).selection(operation.selectionSet);
      const problem = problemOf(weight);
      if (problem) context.reportError(codedError('QUERY_TOO_COMPLEX', problem));
    },
  };
}

function problemOf({ depth, aliases, cost }: Weight): string | null {
  if (depth > MAX_DEPTH) return `the operation is ${depth} levels deep; ${MAX_DEPTH} are allowed`;
  if (aliases > MAX_ALIASES) return `the operation has ${aliases} aliases; ${MAX_ALIASES} are allowed`;
  if (cost > MAX_COST) return `the operation could ask for ${cost} fields; ${MAX_COST} are allowed`;
  return null;
}

class Weigher {
  readonly #context: ValidationContext;
  /** Each fragment is weighed once; one that is being weighed counts nothing, since cycles are another rule's error. */
  readonly #fragments = new Map<string, Weight>();

  constructor(context: ValidationContext) {
    this.#context = context;
  }

  selection({ selections }: SelectionSetNode): Weight {
    let total = NOTHING;
    for (const node of selections) {
      const weight =
        node.kind === Kind.FIELD
          ? this.#field(node)
          : node.kind === Kind.INLINE_FRAGMENT
            ? this.selection(node.selectionSet)
            : this.#fragment(this.#context.getFragment(node.name.value));
      total = {
        depth: Math.max(total.depth, weight.depth),
        aliases: total.aliases + weight.aliases,
        cost: total.cost + weight.cost,
      };
    }
    return total;
  }

  #field(node: FieldNode): Weight {
    const aliases = node.alias ? 1 : 0;
    if (node.name.value.startsWith('__')) return { depth: 1, aliases, cost: 0 };
    const inner = node.selectionSet ? this.selection(node.selectionSet) : NOTHING;
    return {
      depth: inner.depth + 1,
      aliases: inner.aliases + aliases,
      cost: (FIGURES.has(node.name.value) ? COST_OF_FIGURES : 1) + inner.cost * sizeOf(node),
    };
  }

  #fragment(fragment: FragmentDefinitionNode | null | undefined): Weight {
    if (!fragment) return NOTHING;
    const name = fragment.name.value;
    const known = this.#fragments.get(name);
    if (known) return known;
    this.#fragments.set(name, NOTHING);
    const weight = this.selection(fragment.selectionSet);
    this.#fragments.set(name, weight);
    return weight;
  }
}

/** How many objects the field may answer with, by its name and arguments. */
function sizeOf({ name, arguments: given }: FieldNode): number {
  const size = given?.find((argument) => argument.name.value === 'first' || argument.name.value === 'last');
  if (size) return size.value.kind === Kind.INT ? Math.max(1, Number(size.value.value)) : LARGEST_PAGE;
  if (name.value === 'nodes' && given?.length) return LARGEST_PAGE;
  return LISTS.has(name.value) ? DEFAULT_PAGE : 1;
}
