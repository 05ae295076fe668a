/**
 * The floor rule of the house: a file imports from its own folder or from a lower floor, never up and never
 * sideways between folders of one floor. News travels up only through events/.
 */
const FLOORS = [
  ['lib'],
  ['domain', 'config'],
  ['comfyui', 'store', 'events', 'storage', 'tracing', 'simulator'],
  ['workflows', 'fleet', 'access', 'metrics'],
  ['jobs'],
  ['scheduler'],
  ['graphql'],
  ['http'],
  ['app'],
  ['cli'],
  ['main'],
];
const path = (name) => `^src/${name}(/|\\.ts$)`;
// The top floor may import everything.
const upwards = FLOORS.slice(0, -1).flatMap((floor, height) =>
  floor.map((name) => ({
    name: `floor-of-${name}`,
    comment: `src/${name} stands on floor ${height - 1}: it may import itself and lower floors only`,
    severity: 'error',
    from: { path: path(name) },
    to: {
      path: FLOORS.slice(height)
        .flat()
        .filter((other) => other !== name)
        .map(path),
    },
  })),
);

module.exports = {
  forbidden: [
    ...upwards,
    {
      name: 'graphql-never-imports-the-scheduler',
      comment: 'an api replica has no scheduler: it reads rows and listens to the bus',
      severity: 'error',
      from: { path: '^src/graphql/' },
      to: { path: '^src/scheduler/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-dev-dependencies-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'only-what-package-json-names',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
