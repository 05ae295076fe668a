import { defineConfig } from 'vitest/config';

/** graphql 16 has two builds; sources and dependencies must load the same one ("another module or realm"). */
export default defineConfig({
  resolve: { alias: { graphql: 'graphql/index.js' } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/services/global-setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    maxWorkers: 2,
    // Real processes and servers on a shared machine: what fails once there and passes again is named at the end of the run.
    retry: process.env.CI ? 1 : 0,
  },
});
