/** Python exceptions as clients see them: a type name, a message and traceback lines without source text. */
export class PythonError extends Error {
  readonly exceptionType: string;
  readonly traceback: readonly string[];
  constructor(exceptionType: string, message: string, traceback: readonly string[] = []) {
    super(message);
    this.exceptionType = exceptionType;
    this.traceback = traceback;
  }

  /** Anything thrown, as a Python exception. */
  static from(error: unknown): PythonError {
    if (error instanceof PythonError) return error;
    return new PythonError('RuntimeError', error instanceof Error ? error.message : String(error));
  }
}

/** One traceback line. */
export function trace(file: string, line: number, where: string): string {
  return `  File "<comfyui>/${file}", line ${line}, in ${where}\n    <source line>\n`;
}
