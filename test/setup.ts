/** For every test file: an error that escapes an RxJS subscriber fails the test that runs. */
import { config } from 'rxjs';

config.onUnhandledError = (error: unknown) => {
  throw error;
};
