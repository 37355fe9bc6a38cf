/** The element's value in a form, made when the form asks for it. */

export class FormValue {
  /** @type {HTMLFormElement | null} */
  #form = null;
  #fill;

  /** @param {() => { name: string, value: unknown } | null} value null: the form gets none */
  constructor(value) {
    this.#fill = (/** @type {FormDataEvent} */ { formData }) => {
      const entry = value();
      if (entry) formData.append(entry.name, JSON.stringify(entry.value));
    };
  }

  /** @param {HTMLFormElement | null} form that the element belongs to from now on */
  move(form) {
    this.#form?.removeEventListener('formdata', this.#fill);
    this.#form = form;
    form?.addEventListener('formdata', this.#fill);
  }
}
