/**
 * A variable that does not fit its type, told without what is in it. graphql prints the whole value, where one wrong name of
 * a field then shows a prompt, or the password in an address.
 */
import { GraphQLError } from 'graphql';

/** Any other error is returned as it is. */
export function withoutValue(error: GraphQLError): GraphQLError {
  const [, variable] = /^(Variable "\$\w+") got invalid value /.exec(error.message) ?? [];
  const reason = error.originalError?.message;
  if (variable === undefined || reason === undefined) return error;
  const head = error.message.slice(0, -`; ${reason}`.length);
  const [, place = ''] = /( at "[^"]*")$/.exec(head) ?? [];
  const why = reason.replace(/(cannot represent .*?value): .*$/s, '$1');
  const { nodes, extensions } = error;
  return new GraphQLError(`${variable}${place}: ${why}`, { nodes: nodes ?? null, extensions });
}
